import type { ReadBatch } from './broker.ts';

/** No record is smaller than its head: beside less than this there is nothing of anybody else in a buffer. */
const RECORD_BYTES_MIN = 36;
/** What is smaller may be a part of Node's pool, and is no burden. */
const LARGE_BYTES = 256 * 1024;

/** Whether bytes have their buffer to themselves: they are not cut from a larger segment, nor in Node's pool. */
export function haveOwnBuffer(bytes: Uint8Array): boolean {
  return bytes.buffer.byteLength - bytes.length < RECORD_BYTES_MIN;
}

/**
 * Gives the memory of batches back, by whoever was given them and has done with them; their bytes are empty
 * afterwards. V8 sees little of what it would free by collecting them, and comes late or too often.
 */
export function releaseBatches(batches: readonly ReadBatch[]): void {
  for (const { segments } of batches) {
    for (const { bytes } of segments) if (haveOwnBuffer(bytes)) releaseBuffer(bytes);
  }
}

/** Gives a large buffer back, with everything that is in it. */
export function releaseBuffer({ buffer }: Uint8Array): void {
  if (!(buffer instanceof ArrayBuffer) || buffer.detached) return;
  if (buffer.byteLength >= LARGE_BYTES) buffer.transfer(0);
}
