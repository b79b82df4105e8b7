/**
 * Where a change was when, sampled, so that the lag of each hop is measured on the same change and the
 * hops add up to the whole way from commit to sink.
 *
 * ```
 *  committed ──read──▶ read ──raw──▶ on raw topic ──changes──▶ on .changes ──applied──▶ in the sink
 * ```
 *
 * A change is known by its commit time, in ms since 1970 by the source's clock. A place that has been
 * passed by a commit time has been passed by all before it. Everything else is elapsed time in ms, so a
 * clock that is set shows in the first hop alone, where two machines' clocks meet.
 */
export type Hop = 'read' | 'raw' | 'changes' | 'applied';

interface Sample {
  readonly committedAt: number;
  /** When each place was passed, by its index; undefined if not yet. */
  readonly passed: (number | undefined)[];
}

/** Seconds per hop, and their sum; null where nothing has been measured yet. */
export interface HopLag {
  readonly read: number | null;
  readonly raw: number | null;
  readonly changes: number | null;
  readonly applied: number | null;
  readonly total: number | null;
}

const SAMPLES_MAX = 512;
const SAMPLE_EVERY_MS = 20;
/** A commit time so much older than one before it means that the source's clock was set back. */
const SET_BACK_MS = 10_000;
/** A hop that has had nothing to do for so long has no lag, whatever its last change met. */
const IDLE_MS = 15_000;

const hops = ['read', 'raw', 'changes'] as const;

export class LagTrace {
  readonly #sinks: readonly string[];
  readonly #last: { ms: number; at: number }[] = [];
  #samples: Sample[] = [];

  constructor(sinks: readonly string[]) {
    this.#sinks = sinks;
  }

  /** Samples held, at most `SAMPLES_MAX`. */
  get kept(): number {
    return this.#samples.length;
  }

  /** A source has read changes, the newest of them committed then, which was `lagMs` ago by the wall's clock. */
  read(committedAt: number, now: number, lagMs: number = now - committedAt): void {
    const newest = this.#samples.at(-1);
    const readAt = newest?.passed[0];
    if (readAt !== undefined && now - readAt < SAMPLE_EVERY_MS) return;
    if (newest !== undefined && committedAt <= newest.committedAt) {
      if (newest.committedAt - committedAt < SET_BACK_MS) return;
      this.#samples = []; // Or nothing would be measured until that clock is where it was.
    }
    if (this.#samples.length === SAMPLES_MAX) {
      this.#samples = this.#samples.filter((_, index) => index % 2 === 0);
    }
    this.#samples.push({ committedAt: Math.floor(committedAt), passed: [now] });
    this.#last[0] = { ms: Math.max(0, lagMs), at: now };
  }

  raw(committedAt: number, now: number): void {
    this.#pass(1, committedAt, now);
  }

  changes(committedAt: number, now: number): void {
    this.#pass(2, committedAt, now);
  }

  applied(sink: string, committedAt: number, now: number): void {
    this.#pass(3 + this.#sinks.indexOf(sink), committedAt, now);
    const places = 3 + this.#sinks.length;
    const pending = this.#samples.findIndex(({ passed }) => {
      for (let place = 0; place < places; place++) if (passed[place] === undefined) return true;
      return false;
    });
    // One is kept: the newest that all have passed keeps older commit times from coming in again.
    this.#samples.splice(0, pending < 0 ? this.#samples.length - 1 : pending);
  }

  /** Lag per hop on the way to a sink, in seconds. What is still waiting counts as long as it waits. */
  lag(sink: string, now: number): HopLag {
    const [read, raw, changes] = hops.map((_, place) => this.#hop(place, now));
    const applied = this.#hop(3 + this.#sinks.indexOf(sink), now);
    const known = [read, raw, changes, applied].filter((part) => part !== undefined);
    return {
      read: seconds(read),
      raw: seconds(raw),
      changes: seconds(changes),
      applied: seconds(applied),
      total: known.length === 0 ? null : seconds(known.reduce((sum, part) => sum + part, 0)),
    };
  }

  #pass(place: number, committedAt: number, now: number): void {
    for (const sample of this.#samples) {
      if (sample.committedAt > committedAt) break;
      // A reader may be told before the writer that its publish is done.
      for (let earlier = 1; earlier <= Math.min(place, 2); earlier++)
        this.#mark(sample, earlier, now);
      this.#mark(sample, place, now);
    }
  }

  #mark({ passed }: Sample, place: number, now: number): void {
    if (passed[place] !== undefined) return;
    passed[place] = now;
    this.#last[place] = { ms: now - (passed[before(place)] ?? now), at: now };
  }

  #hop(place: number, now: number): number | undefined {
    const waiting = this.#samples.find(
      ({ passed }) => passed[place] === undefined && passed[before(place)] !== undefined,
    );
    const last = this.#last[place];
    const waited = waiting === undefined ? 0 : now - (waiting.passed[before(place)] ?? now);
    if (waiting === undefined && last !== undefined && now - last.at > IDLE_MS) return 0;
    return last === undefined && waiting === undefined
      ? undefined
      : Math.max(last?.ms ?? 0, waited);
  }
}

function seconds(ms: number | undefined): number | null {
  return ms === undefined ? null : ms / 1000;
}

/** The place that a change passes before; every sink is fed from `.changes`. */
function before(place: number): number {
  return Math.min(place - 1, 2);
}
