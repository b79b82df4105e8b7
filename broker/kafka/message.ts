import type { WireReader, WireWriter } from './wire.ts';

/**
 * A request with its answer. The version is fixed: each is one that every Kafka from 2.5 to 4.x and Redpanda
 * serve (KIP-896 names what 4.0 has dropped).
 *
 * Source: the message definitions of Apache Kafka, `clients/src/main/resources/common/message`.
 */
export interface Message<Answer> {
  readonly api: number;
  readonly name: string;
  readonly version: number;
  /** Versions since KIP-482 have tagged fields after the header of request and answer. */
  readonly flexible?: boolean;
  /** How long the answer may take, if longer than usual. */
  readonly timeoutMs?: number;
  /** Size of the request, if it is known to be large. */
  readonly bytesExpected?: number;
  write(out: WireWriter): void;
  /** Throws a `KafkaFailure` if the answer is one as a whole. */
  read(answer: WireReader): Answer;
}
