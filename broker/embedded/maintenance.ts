import type { DatabaseSync } from 'node:sqlite';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../log.ts';
import type { Catalogue } from './catalogue.ts';
import { compact, expiry } from './compaction.ts';
import { needsCompaction } from './compaction-need.ts';
import type { PartitionLog } from './partition-log.ts';
import { forgetOldest } from './retention.ts';
import type { SegmentTable } from './segment-table.ts';

/** How often age is looked at. */
const INTERVAL_MS = 30_000;
/** After opening, age forgets nothing for so long: readers are to come back first. */
const GRACE_MS = 60_000;
/** Between two slices in the background, so that it takes at most about half of the time. */
const BACKGROUND_PAUSE_MS = 5;

export interface MaintenanceParts {
  readonly database: DatabaseSync;
  readonly table: SegmentTable;
  readonly catalogue: Catalogue;
  readonly log: Log;
  readonly now: () => number;
  /** First offset of a partition that somebody who reads it has not done; Infinity for none. */
  readonly needed: (log: PartitionLog) => number;
  readonly keysPerPass?: number;
}

/** Retention and compaction, one partition at a time, in slices between which everybody else runs. */
export class Maintenance implements AsyncDisposable {
  readonly #of: MaintenanceParts;
  readonly #closing = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #openedAt = performance.now();
  #last: Promise<void> = Promise.resolve();
  #scheduled = false;

  constructor(parts: MaintenanceParts) {
    this.#of = parts;
    this.#timer = setInterval(() => this.#schedule(), INTERVAL_MS);
    this.#timer.unref();
  }

  /** To be told of each partition that grows. */
  grown(log: PartitionLog): void {
    if (needsCompaction(log) || tooMuch(log)) this.#schedule();
  }

  /** Forgets and compacts all that may be, however little it is. */
  run(now: number): Promise<void> {
    return this.#next(() =>
      this.#all(now, {
        pauseMs: 0,
        byAge: true,
        isDue: (log) => log.dirtySegments > 0,
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#closing.abort();
    await this.#last;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    void this.#next(async () => {
      this.#scheduled = false;
      try {
        const byAge = performance.now() - this.#openedAt > GRACE_MS;
        const how = { pauseMs: BACKGROUND_PAUSE_MS, byAge, isDue: needsCompaction };
        await this.#all(this.#of.now(), how);
      } catch (error) {
        // It is tried again at the next interval; what it was to free stays readable until then.
        this.#of.log.warn({ err: error }, 'retention or compaction failed');
      }
    });
  }

  #next(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #all(now: number, how: How): Promise<void> {
    const { database, table, catalogue, keysPerPass } = this.#of;
    const { signal } = this.#closing;
    const pause = async (): Promise<void> => {
      if (how.pauseMs === 0) await setImmediate();
      else await sleep(how.pauseMs);
      signal.throwIfAborted();
    };
    const of = { database, table, pause, ...(keysPerPass === undefined ? {} : { keysPerPass }) };
    try {
      for (const log of catalogue.all()) {
        signal.throwIfAborted();
        if (log.settings.cleanup === 'delete') {
          const needed = how.byAge ? this.#of.needed(log) : log.start;
          while (forgetOldest(of, log, { now, needed })) await pause();
        } else if (how.isDue(log) || table.hasExpired(log, expiry(log, now))) {
          await compact(of, log, now);
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}

interface How {
  readonly byAge: boolean;
  readonly pauseMs: number;
  readonly isDue: (log: PartitionLog) => boolean;
}

function tooMuch({ settings, bytes }: PartitionLog): boolean {
  const { cleanup, retentionBytes } = settings;
  // A tenth above, so that a full partition is not looked at with each publish.
  return cleanup === 'delete' && retentionBytes !== null && bytes > retentionBytes * 1.1;
}
