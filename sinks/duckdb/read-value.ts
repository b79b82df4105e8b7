import type { ByteReader } from '../../schemas/byte-reader.ts';

/** Reads one value at the reader's position into a row of a vector. */
export type ReadValue = (reader: ByteReader, row: number) => void;
