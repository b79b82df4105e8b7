import avsc from 'avsc';

/** 64-bit integers as bigint, so that a test can say every one of them; `read` makes what is read of one. */
export function longType(read: (value: bigint) => unknown = (value) => value): avsc.Type {
  return avsc.types.LongType.__with({
    fromBuffer: (buffer: Buffer) => read(buffer.readBigInt64LE()),
    toBuffer: (value: bigint | number) => {
      const buffer = Buffer.alloc(8);
      buffer.writeBigInt64LE(BigInt(value));
      return buffer;
    },
    fromJSON: (value: number) => BigInt(value),
    toJSON: String,
    isValid: (value: unknown) => typeof value === 'bigint' || typeof value === 'number',
    compare: (one: bigint, other: bigint) => (one < other ? -1 : one > other ? 1 : 0),
  });
}

export function isLong(schema: unknown): boolean {
  return (
    schema === 'long' ||
    (typeof schema === 'object' && schema !== null && 'type' in schema && schema.type === 'long')
  );
}
