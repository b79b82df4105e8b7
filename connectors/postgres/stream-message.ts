import { MillraceError } from '../../errors.ts';
import { WireReader } from './wire-reader.ts';

/**
 * The payload of one XLogData message, `bytes[start, end)`, and the WAL start in its header, which is
 * the LSN of the change. One object may be reused for all messages.
 */
export interface StreamMessage {
  bytes: Buffer;
  start: number;
  end: number;
  lsnHigh: number;
  lsnLow: number;
}

/** The LSN of two words. */
export function lsnOf(high: number, low: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

/** For later: the bytes of a message are used again. */
export function copyOf(message: StreamMessage): StreamMessage {
  const { bytes, start, end } = message;
  const kept = Buffer.from(bytes.subarray(start, end));
  return { ...message, bytes: kept, start: 0, end: kept.length };
}

/** Reads what comes after the letter. */
export function reader({ bytes, start, end }: StreamMessage): WireReader {
  return new WireReader(bytes, start + 1, end);
}

/** A message that is not what the protocol says. */
export function unexpected(message: string): MillraceError {
  return new MillraceError('PROTOCOL_UNEXPECTED', message);
}
