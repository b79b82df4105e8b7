/**
 * CRC-32C (Castagnoli), the checksum of Kafka's record batches: RFC 3720, appendix B.4. Eight bytes a step
 * ("slicing by eight"), as Node has no such checksum of its own.
 */
const TABLES = tables();

export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let crc = 0xffffffff;
  let at = start;
  for (; end - at >= 8; at += 8) {
    crc ^=
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    crc =
      (TABLES[0x700 + (crc & 0xff)] as number) ^
      (TABLES[0x600 + ((crc >>> 8) & 0xff)] as number) ^
      (TABLES[0x500 + ((crc >>> 16) & 0xff)] as number) ^
      (TABLES[0x400 + (crc >>> 24)] as number) ^
      (TABLES[0x300 + (bytes[at + 4] as number)] as number) ^
      (TABLES[0x200 + (bytes[at + 5] as number)] as number) ^
      (TABLES[0x100 + (bytes[at + 6] as number)] as number) ^
      (TABLES[bytes[at + 7] as number] as number);
  }
  for (; at < end; at++) {
    crc = (TABLES[(crc ^ (bytes[at] as number)) & 0xff] as number) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}

/** Table `n` holds what a byte does to the checksum when `n` more bytes follow it. */
function tables(): Int32Array {
  const found = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    found[byte] = crc;
  }
  for (let at = 256; at < found.length; at++) {
    const before = found[at - 256] as number;
    found[at] = (found[before & 0xff] as number) ^ (before >>> 8);
  }
  return found;
}
