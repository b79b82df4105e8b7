import {
  offset,
  type Offset,
  type RecordBatch,
  type TopicName,
  type TopicPartition,
} from '../broker/broker.ts';
import { MillraceError } from '../errors.ts';
import type { Fresh } from './changes.ts';
import type { Advance, Assignment } from './ledger.ts';
import type { Run } from './runs.ts';

/** The partitions that a worker has taken over, and how far each is written. */
export class Assignments {
  readonly #byName = new Map<string, Assignment>();

  take(taken: readonly Assignment[]): void {
    for (const assignment of taken) this.#byName.set(partitionName(assignment), assignment);
  }

  release(topic: TopicName, partitions: readonly { readonly partition: number }[]): void {
    for (const { partition } of partitions)
      this.#byName.delete(partitionName({ topic, partition }));
  }

  /**
   * What of a batch the ledger does not have. Offsets below it were written before and are left out, record
   * by record. Offsets above it are accepted: brokers leave gaps (compaction, transaction markers), and
   * that the next offset to read still exists is the broker's promise (`OFFSET_OUT_OF_RANGE`). `reached`
   * is where earlier batches of the same write end. Throws `SINK_FENCED`.
   */
  fresh(batch: RecordBatch, reached: Map<string, Offset>): Fresh | null {
    const name = partitionName(batch);
    const assignment = this.#byName.get(name);
    if (assignment === undefined) {
      throw new MillraceError(
        'SINK_FENCED',
        'a partition was written that this worker has not taken over',
        { place: name },
      );
    }
    const to = batch.consumed.next;
    const from = reached.get(name) ?? assignment.next ?? offset(0);
    if (to <= from) return null;
    reached.set(name, to);
    return { batch, from, to };
  }

  advances(runs: readonly Run[]): Advance[] {
    const found = new Map<string, Advance>();
    for (const run of runs) {
      const name = partitionName(run);
      const assignment = this.#byName.get(name);
      if (assignment === undefined) throw new Error(`${name} is not assigned`);
      const changes = (found.get(name)?.changes ?? 0) + run.changes;
      found.set(name, { ...assignment, to: run.to, changes });
    }
    return [...found.values()];
  }

  /** The ledger has moved. */
  moved(advances: readonly Advance[]): void {
    for (const { topic, partition, epoch, to } of advances) {
      const assignment = { topic, partition, epoch, next: to };
      this.#byName.set(partitionName(assignment), assignment);
    }
  }
}

export function partitionName({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`;
}
