/** Whether a packed header that starts at `at` (u16 name length, name) has that name. */
export function isHeaderName(bytes: Buffer, at: number, name: Uint8Array): boolean {
  if (bytes.readUInt16LE(at) !== name.length) return false;
  for (let index = 0; index < name.length; index++) {
    if (bytes[at + 2 + index] !== name[index]) return false;
  }
  return true;
}
