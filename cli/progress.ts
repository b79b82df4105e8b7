import type { SnapshotProgress } from '../runtime/components.ts';
import { count, span } from './figures.ts';
import type { Terminal } from './terminal.ts';

const REDRAW_MS = 200;
const LINE_MS = 5_000;

/**
 * Shows a snapshot while it runs: a bar that is redrawn on a terminal, a line every five seconds
 * elsewhere. Says nothing while there is none.
 */
export class ProgressDisplay implements Disposable {
  readonly #terminal: Terminal;
  readonly #snapshot: () => SnapshotProgress | null;
  readonly #timer: NodeJS.Timeout;
  #done = false;
  #drawn = false;

  constructor(terminal: Terminal, snapshot: () => SnapshotProgress | null) {
    this.#terminal = terminal;
    this.#snapshot = snapshot;
    this.#timer = setInterval(() => this.#draw(), terminal.outIsTTY ? REDRAW_MS : LINE_MS);
    this.#timer.unref();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#draw();
    if (this.#drawn) this.#terminal.out('\n');
  }

  #draw(): void {
    const progress = this.#snapshot();
    if (progress === null || this.#done) return;
    const { outIsTTY, columns } = this.#terminal;
    const out = (text: string): void => this.#terminal.out(text);
    this.#done = isFinished(progress);
    if (this.#done) {
      const line = finished(progress);
      out(this.#drawn ? `\r\u001b[K${line}\n` : `${line}\n`);
      this.#drawn = false;
    } else if (outIsTTY) {
      out(`\r\u001b[K${bar(progress, columns)}`);
      this.#drawn = true;
    } else {
      out(`snapshot  ${figures(progress)}\n`);
    }
  }
}

export function isFinished({ tables }: SnapshotProgress): boolean {
  return tables.every(({ done }) => done);
}

export function finished({ rows, rowsPerSecond, tables }: SnapshotProgress): string {
  const of = `${tables.length} ${tables.length === 1 ? 'table' : 'tables'}`;
  return `snapshot  done: ${count(rows)} rows of ${of}, ${count(rowsPerSecond)}/s`;
}

/** `snapshot  ███████░░░░░  58 %  1,234,567 rows  412,000/s  ETA 3s`, as wide as there is room. */
export function bar(progress: SnapshotProgress, columns: number): string {
  const text = figures(progress);
  const room = Math.min(40, columns - text.length - 'snapshot    '.length - 1);
  if (room < 5) return `snapshot  ${text}`.slice(0, columns - 1);
  const filled = Math.round(room * (share(progress) ?? 0));
  return `snapshot  ${'█'.repeat(filled)}${'░'.repeat(room - filled)}  ${text}`;
}

export function figures(progress: SnapshotProgress): string {
  const { rows, rowsPerSecond, remainingSeconds } = progress;
  const left = remainingSeconds === null ? '' : `  ETA ${span(remainingSeconds * 1000)}`;
  const rate = `${count(rows)} rows  ${count(rowsPerSecond)}/s`;
  const done = share(progress);
  return done === null ? rate : `${Math.floor(done * 100)} %  ${rate}${left}`;
}

/** Null where the estimate is worth nothing: a table that was never analysed, or one that has grown. */
function share({ rows, rowsEstimated, ...progress }: SnapshotProgress): number | null {
  if (isFinished({ rows, rowsEstimated, ...progress })) return 1;
  return rowsEstimated <= rows ? null : rows / rowsEstimated;
}
