import type { Consumed, Outgoing } from '../../broker/broker.ts';
import { RecordWriter } from '../../broker/records.ts';
import type { Open } from './work.ts';

const WRITER_BYTES_KEPT = 4 * 1024 * 1024;

/** What a call makes of a partition. */
interface Made {
  readonly changes: RecordWriter;
  /** What `.latest` gets that is not also in `.changes`, or all of that. */
  readonly latest: RecordWriter;
  /** What `.latest` gets. */
  newest: RecordWriter;
  supersedes: number;
  /** Null as long as nothing of it was done. */
  consumed: Consumed | null;
}

/** What a call makes, by partition. */
export class Output {
  readonly #made = new Map<Open, Made>();
  /** Bytes of it, but for the partition in hand. */
  #bytes = 0;
  /** As many as the largest call needed: a table that is quiet holds none. */
  readonly #writers: RecordWriter[] = [];

  /** A new call begins: what the last one made is published. */
  reset(): void {
    for (const writer of this.#writers) writer.reset(WRITER_BYTES_KEPT);
    this.#made.clear();
    this.#bytes = 0;
  }

  /** Takes a partition in hand. */
  begin(open: Open): void {
    let made = this.#made.get(open);
    if (made === undefined) {
      const first = 2 * this.#made.size;
      const changes = (this.#writers[first] ??= new RecordWriter(4 * 1024));
      const latest = (this.#writers[first + 1] ??= new RecordWriter(4 * 1024));
      made = { changes, latest, newest: latest, supersedes: 0, consumed: null };
      this.#made.set(open, made);
    }
    this.#bytes -= made.changes.bytes + made.latest.bytes;
    if (made.newest === made.changes) {
      // More of the partition follows: what was all of `.changes` is no longer that.
      made.latest.copyRun(made.changes.written(), 0, made.changes.bytes);
      made.newest = made.latest;
    }
    open.state.begin(made.changes, made.latest);
  }

  /** Puts it away, done up to an offset; null if nothing at all was done this time. */
  end(open: Open, consumed: Consumed | null): void {
    const made = this.#made.get(open);
    if (made === undefined) return;
    made.newest = open.state.finish();
    made.supersedes += open.state.supersedes;
    this.#bytes += made.changes.bytes + made.latest.bytes;
    made.consumed = consumed ?? made.consumed;
  }

  /** Bytes made in this call, with the partition that is in hand. */
  bytes({ state }: Open): number {
    return this.#bytes + state.outgoingBytes;
  }

  /** What went to `.changes` so far; null if nothing. */
  changesOf(open: Open | undefined): RecordWriter | null {
    return open === undefined ? null : (this.#made.get(open)?.changes ?? null);
  }

  outgoing(): Outgoing[] {
    const found: Outgoing[] = [];
    for (const [{ changes, latest, partition }, made] of this.#made) {
      const { newest, supersedes } = made;
      found.push({ topic: changes, partition, records: made.changes });
      found.push({ topic: latest, partition, records: newest, supersedes });
    }
    return found.filter(({ records }) => records.count > 0);
  }

  consumed(): Consumed[] {
    return [...this.#made.values()].flatMap(({ consumed }) => consumed ?? []);
  }
}
