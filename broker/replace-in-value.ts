import type { RecordWriter } from './records.ts';

/** Where a packed record has the length of its value: see the layout in `records.ts`. */
const VALUE_LENGTH_AT = 32;

/**
 * Replaces bytes in the value of a finished record that is still in its writer; the records behind it
 * move. `from` and `to` lie in the value of the record that starts at `start`.
 */
export function replaceInValue(
  { out }: RecordWriter,
  { start, from, to }: { readonly start: number; readonly from: number; readonly to: number },
  by: Uint8Array,
): void {
  const grown = by.length - (to - from);
  out.reserve(Math.max(grown, 0));
  const { bytes } = out;
  bytes.copyWithin(to + grown, to, out.position);
  bytes.set(by, from);
  out.position += grown;
  bytes.writeUInt32LE(bytes.readUInt32LE(start) + grown, start);
  const length = bytes.readInt32LE(start + VALUE_LENGTH_AT);
  bytes.writeInt32LE(length + grown, start + VALUE_LENGTH_AT);
}
