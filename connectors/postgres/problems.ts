import { directive, MillraceError } from '../../errors.ts';

/** Collects what checks throw, so that all that is wrong with a source is said at once. */
export class Problems {
  readonly #found: MillraceError[] = [];

  /** What the check returns; null if it found a problem. What a lost connection throws goes on. */
  async note<T>(check: () => T | Promise<T>): Promise<T | null> {
    try {
      return await check();
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      if (directive(error) === 'retry' && error.code !== 'SLOT_IN_USE') throw error;
      this.#found.push(error);
      return null;
    }
  }

  /** Throws the one problem, or `SOURCE_NOT_READY` with all of them as its cause. */
  raise(): void {
    const [first, second] = this.#found;
    if (first === undefined) return;
    if (second === undefined) throw first;
    throw new MillraceError('SOURCE_NOT_READY', this.#found.map(inWords).join('\n\n'), {
      cause: this.#found,
    });
  }
}

function inWords({ code, message, place, expected, remedy }: MillraceError, at: number): string {
  const lines = [
    `${at + 1}. ${code}: ${message}`,
    ...(place === undefined ? [] : [`at ${place}`]),
    ...(expected === undefined ? [] : [`expected ${expected}`]),
    remedy,
  ];
  return lines.join('\n').replaceAll('\n', '\n   ');
}
