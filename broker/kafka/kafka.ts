import type { Log } from '../../log.ts';
import type { Broker } from '../broker.ts';
import { KafkaBroker } from './kafka-broker.ts';
import type { KafkaOptions } from './options.ts';

/**
 * Connects to a Kafka cluster: Apache Kafka from 2.5, Redpanda.
 *
 * @throws BROKER_UNREACHABLE, BROKER_AUTH, BROKER_TLS, BROKER_VERSION
 */
export async function openKafka(options: KafkaOptions, log: Log): Promise<Broker> {
  const broker = new KafkaBroker(options, log);
  try {
    await broker.connect(CONNECT_PATIENCE_MS);
    return broker;
  } catch (error) {
    await broker[Symbol.asyncDispose]();
    throw error;
  }
}

/** A wrong address should be said soon; a cluster that is only slow to come is tried again by its user. */
const CONNECT_PATIENCE_MS = 15_000;
