import { MillraceError } from '../errors.ts';

/** One thing that is wrong in the configuration, with its place. */
export interface Mistake {
  /** Both count from 1. */
  readonly line: number;
  readonly column: number;
  /** Characters to mark, on this line. */
  readonly length: number;
  readonly message: string;
  readonly expected?: string;
  readonly suggestion?: string;
}

interface Text {
  readonly file: string;
  readonly lines: readonly string[];
}

/** Throws `CONFIG_INVALID` that shows all mistakes in the order of the file. */
export function raise(text: Text, found: readonly Mistake[]): never {
  const mistakes = [...found].sort((a, b) => a.line - b.line || a.column - b.column);
  const [first] = mistakes;
  throw new MillraceError(
    'CONFIG_INVALID',
    mistakes.map((mistake) => render(text, mistake)).join('\n\n'),
    {
      place: first === undefined ? text.file : `${text.file}:${first.line}:${first.column}`,
      cause: mistakes,
    },
  );
}

function render({ file, lines }: Text, mistake: Mistake): string {
  const number = String(mistake.line);
  const gutter = ' '.repeat(number.length);
  const line = redactLine(lines[mistake.line - 1] ?? '');
  const marks = Math.max(1, Math.min(mistake.length, line.length - mistake.column + 1));
  const shown = [
    `${file}:${mistake.line}:${mistake.column}: ${mistake.message}`,
    ` ${number} | ${line}`,
    ` ${gutter} | ${' '.repeat(mistake.column - 1)}${'^'.repeat(marks)}`,
  ];
  if (mistake.expected !== undefined) shown.push(` ${gutter}   expected ${mistake.expected}`);
  if (mistake.suggestion !== undefined) {
    shown.push(` ${gutter}   did you mean \`${mistake.suggestion}\`?`);
  }
  return shown.join('\n');
}

/** A password written into the file must not come out with a message about its line. */
function redactLine(line: string): string {
  return line.replace(/(:\/\/[^:/@\s]*:)([^@\s]+)@/g, (_, before: string, secret: string) =>
    secret.startsWith('${') ? `${before}${secret}@` : `${before}${'*'.repeat(secret.length)}@`,
  );
}

/** The candidate nearest to what was written, if it is near enough to be a slip. */
export function nearest(wrong: string, candidates: readonly string[]): string | undefined {
  const limit = Math.max(1, Math.floor(wrong.length / 3));
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const candidate of candidates) {
    const distance = editDistance(wrong.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Levenshtein's, with a swap of neighbours as one step. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min((row[j - 1] ?? 0) + 1, (last[j] ?? 0) + 1, (last[j - 1] ?? 0) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(cost);
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length] ?? 0;
}
