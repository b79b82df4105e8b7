import { expect, test } from 'vitest';
import { KeyHash } from './key-hash.ts';

const written = ({ a, b, c, d }: KeyHash): Buffer => Buffer.from(Int32Array.of(a, b, c, d).buffer);

test('the hash is MurmurHash3 x86_128, by the verification value of its author', () => {
  // smhasher's VerificationTest: keys {}, {0}, {0,1} … with seed 256 - length, then a hash of all.
  const key = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
  const hashes = Buffer.concat(
    Array.from({ length: 256 }, (_, length) =>
      written(new KeyHash(256 - length).of(key, 0, length)),
    ),
  );
  const verification = written(new KeyHash().of(hashes, 0, hashes.length));
  expect(verification.readUInt32LE(0)).toBe(0xb3ece62a);
});

test('the schema id of a key is not part of it', () => {
  const first = written(new KeyHash().ofKey(Buffer.from([0, 0, 0, 0, 1, 7, 8]), 0, 7));
  const second = written(new KeyHash().ofKey(Buffer.from([9, 0, 0, 0, 0, 2, 7, 8]), 1, 7));
  const plain = written(new KeyHash().ofKey(Buffer.from([7, 8]), 0, 2));
  expect(second).toEqual(first);
  expect(plain).toEqual(first);
});
