import type { Transferable } from 'node:worker_threads';
import type { ReadBatch } from '../../broker/broker.ts';
import { haveOwnBuffer } from '../../broker/segment-memory.ts';

/** Batches to be sent to another thread, and the memory of theirs that goes there with them. */
export interface BatchMessage<Batch extends ReadBatch> {
  readonly batches: readonly Batch[];
  readonly transfer: readonly Transferable[];
}

/**
 * A segment that has its buffer to itself goes over as it is; it is empty here afterwards. One that shares
 * it, with a segment cut from it or with the pool of Node, is copied.
 */
export function batchMessage<Batch extends ReadBatch>(
  given: readonly Batch[],
): BatchMessage<Batch> {
  const transfer: Transferable[] = [];
  const batches = given.map((batch) => ({
    ...batch,
    segments: batch.segments.map(({ base, count, bytes }) => {
      const alone = haveOwnBuffer(bytes);
      const own = alone ? bytes : Buffer.allocUnsafeSlow(bytes.length);
      if (!alone) bytes.copy(own);
      transfer.push(own.buffer as ArrayBuffer);
      return { base, count, bytes: own };
    }),
  }));
  return { batches, transfer };
}

/** Batches as they arrive: a clone makes plain arrays of buffers. */
export function batchesOf<Batch extends ReadBatch>(received: readonly Batch[]): Batch[] {
  return received.map((batch) => ({
    ...batch,
    segments: batch.segments.map(({ base, count, bytes }) => ({
      base,
      count,
      bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    })),
  }));
}
