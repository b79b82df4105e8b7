/**
 * The partition of a key, as Kafka's Java client and Debezium's sink choose it: murmur2 of the bytes,
 * sign bit cleared, modulo the number of partitions. We hash the key *payload* only: a Confluent
 * header (magic byte and schema id) is skipped, so that a new schema id never moves a key.
 *
 * Source: org.apache.kafka.common.utils.Utils.murmur2.
 */
export function partitionOf(key: Uint8Array, keyEnd: number, partitions: number): number {
  if (partitions === 1) return 0;
  const start = keyEnd >= 5 && key[0] === 0 ? 5 : 0;
  return (murmur2(key, start, keyEnd) & 0x7fffffff) % partitions;
}

export function murmur2(bytes: Uint8Array, start: number, end: number): number {
  const M = 0x5bd1e995;
  const length = end - start;
  let hash = 0x9747b28c ^ length;
  let at = start;
  for (; end - at >= 4; at += 4) {
    let word =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    word = Math.imul(word, M);
    word ^= word >>> 24;
    hash = Math.imul(hash, M) ^ Math.imul(word, M);
  }
  const rest = end - at;
  if (rest >= 3) hash ^= (bytes[at + 2] as number) << 16;
  if (rest >= 2) hash ^= (bytes[at + 1] as number) << 8;
  if (rest >= 1) hash = Math.imul(hash ^ (bytes[at] as number), M);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, M);
  return hash ^ (hash >>> 15);
}
