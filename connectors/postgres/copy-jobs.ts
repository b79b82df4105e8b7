import { MillraceError } from '../../errors.ts';
import type { CopyProgress, CopyRequest } from '../connector.ts';
import type { TableCut } from './stream-cuts.ts';
import type { CopiesState, CopyJob, FollowedTable } from './wal-position.ts';

/** What ended, kept for `status` until the connector is closed. */
const ENDED_KEPT = 100;

/** The copies of one stream: changed by requests and by the copying, published with positions. */
export class CopyJobs {
  #jobs: CopyJob[];
  #cuts: readonly TableCut[];
  #followed: readonly FollowedTable[];
  #step: number;
  #publishedStep: number;
  #waiting: { step: number; resolve: () => void; reject: (error: unknown) => void }[] = [];
  readonly #estimates = new Map<string, number>();
  readonly #ended: CopyProgress[];
  readonly #told: (copies: readonly CopyProgress[]) => void;
  /** The job that waits for older transactions. */
  #held: string | null = null;
  /** Called when there is something new to do or to publish. */
  onChange: () => void = () => {};

  constructor(
    state: CopiesState | null,
    about: {
      readonly told: (copies: readonly CopyProgress[]) => void;
      /** What ended in earlier lives of the stream. */
      readonly ended: CopyProgress[];
    },
  ) {
    this.#jobs = [...(state?.jobs ?? [])];
    this.#cuts = state?.cuts ?? [];
    this.#followed = state?.followed ?? [];
    this.#step = this.#publishedStep = state?.step ?? 0;
    this.#told = about.told;
    this.#ended = about.ended;
    this.#tell();
  }

  get state(): CopiesState {
    return { step: this.#step, jobs: this.#jobs, cuts: this.#cuts, followed: this.#followed };
  }

  /** Nothing that a position has to say. */
  get none(): boolean {
    return this.#jobs.length + this.#cuts.length + this.#followed.length === 0;
  }

  /** Something changed that no published position has. */
  get unpublished(): boolean {
    return this.#step > this.#publishedStep;
  }

  /** The job to go on with; null if there is none. */
  get next(): CopyJob | null {
    return this.#jobs.find((job) => !job.paused && job.failure === null) ?? null;
  }

  find(table: string): CopyJob | undefined {
    return this.#jobs.find((job) => job.table === table);
  }

  start(table: string, where: string | null = null): void {
    if (this.find(table) !== undefined) throw refused(`${table} is being copied already`, table);
    const job = { table, where, after: null, rows: 0, paused: false, failure: null };
    this.#change([...this.#jobs, job]);
  }

  /** Throws `SNAPSHOT_REFUSED` if there is no such copy. */
  control({
    action,
    table,
  }: CopyRequest & { readonly action: 'pause' | 'resume' | 'cancel' }): void {
    const job = this.find(table);
    if (job === undefined) throw refused(`${table} is not being copied`, table);
    if (action === 'cancel') this.end(table, 'cancelled');
    else if (action === 'pause') this.#replace({ ...job, paused: true });
    else this.#replace({ ...job, paused: false, failure: null });
  }

  /** A range is in the batch that is published next. `to` null: it was the last. */
  reached(table: string, to: Pick<CopyJob, 'after' | 'by'> | null, rows: number): void {
    const job = this.find(table);
    if (job === undefined) return;
    const replaced = { ...job, ...to, rows: job.rows + rows };
    if (to !== null) this.#replace(replaced);
    else {
      this.#jobs = this.#jobs.map((each) => (each === job ? replaced : each));
      this.end(table, 'done');
    }
  }

  /** A table without a key is read from its beginning. */
  cut(table: string, cut: TableCut): void {
    this.#cuts = [...this.#cuts.filter(({ oid }) => oid !== cut.oid), cut];
    const job = this.find(table);
    if (job !== undefined) this.#replace({ ...job, rows: 0 });
  }

  /** More rows of it are in the batch that is published next. */
  counted(table: string, rows: number): void {
    const job = this.find(table);
    if (job !== undefined) this.#replace({ ...job, rows: job.rows + rows });
  }

  /**
   * Whether rows that move in a transaction are looked up, by the LSN of its commit: while their table is
   * copied, and as long as it is followed. The same for all of a transaction.
   */
  follows(table: string, commitLsn: bigint): boolean {
    const isFollowed = (each: FollowedTable): boolean =>
      each.table === table && BigInt(`0x${each.until}`) > commitLsn;
    return this.find(table) !== undefined || this.#followed.some(isFollowed);
  }

  /** Rows of a table were read, and the stream still brings what had been done to it before `until`. */
  follow(table: string, until: bigint): void {
    const known = this.#followed.find((followed) => followed.table === table);
    if (known !== undefined && BigInt(`0x${known.until}`) >= until) return;
    const others = this.#followed.filter((followed) => followed !== known);
    this.#followed = [...others, { table, until: until.toString(16) }];
    this.#step++;
  }

  /** Everything before `lsn` is in the position that is published next: what ends before it says no more. */
  passed(lsn: bigint): void {
    const isLeft = ({ until }: { readonly until: string }): boolean => BigInt(`0x${until}`) > lsn;
    if (this.#cuts.every(isLeft) && this.#followed.every(isLeft)) return;
    this.#cuts = this.#cuts.filter(isLeft);
    this.#followed = this.#followed.filter(isLeft);
    this.#step++;
  }

  end(table: string, state: 'done' | 'cancelled'): void {
    const job = this.find(table);
    if (job === undefined) return;
    this.#ended.push({ ...this.#progress(job), state });
    if (this.#ended.length > ENDED_KEPT) this.#ended.shift();
    this.#change(this.#jobs.filter((each) => each !== job));
  }

  fail(table: string, failure: string): void {
    const job = this.find(table);
    if (job !== undefined) this.#replace({ ...job, failure });
  }

  estimated(table: string, rows: number): void {
    this.#estimates.set(table, rows);
  }

  /** Says which job waits for older transactions. */
  hold(table: string | null): void {
    if (table === this.#held) return;
    this.#held = table;
    this.#tell();
  }

  /** The position that has everything until `step` is durable. */
  published(step: number): void {
    this.#publishedStep = Math.max(this.#publishedStep, step);
    const done = this.#waiting.filter((one) => one.step <= step);
    this.#waiting = this.#waiting.filter((one) => one.step > step);
    for (const { resolve } of done) resolve();
  }

  /** Resolves when all that was changed so far is published. */
  durable(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ step: this.#step, resolve, reject });
    return promise;
  }

  /** The stream has ended: what is not published is not going to be. */
  abandon(error: unknown): void {
    for (const { reject } of this.#waiting) reject(error);
    this.#waiting = [];
  }

  #replace(job: CopyJob): void {
    this.#change(this.#jobs.map((each) => (each.table === job.table ? job : each)));
  }

  #change(jobs: CopyJob[]): void {
    this.#jobs = jobs;
    this.#step++;
    this.#tell();
    this.onChange();
  }

  #tell(): void {
    this.#told([...this.#ended, ...this.#jobs.map((job) => this.#progress(job))]);
  }

  #progress(job: CopyJob): CopyProgress {
    const { table, where, rows, paused, failure } = job;
    const waits = this.#held === table || this.next !== job;
    const state = failure !== null ? 'failed' : paused ? 'paused' : waits ? 'waiting' : 'copying';
    const rowsEstimated = Math.max(rows, this.#estimates.get(table) ?? 0);
    return { table, where, state, rows, rowsEstimated, failure };
  }
}

export function refused(message: string, table: string, expected?: string): MillraceError {
  return new MillraceError('SNAPSHOT_REFUSED', message, {
    place: table,
    ...(expected === undefined ? {} : { expected }),
  });
}
