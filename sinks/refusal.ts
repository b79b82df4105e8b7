import type { TopicName } from '../broker/broker.ts';
import { parksTable } from '../errors.ts';

/** A table refuses what was given for it: its topic, and why. */
export class Refusal extends Error {
  readonly topic: TopicName;

  constructor(topic: TopicName, cause: unknown) {
    super(`the table of ${topic} is refused`, { cause });
    this.topic = topic;
  }
}

/** Does the work of one table; what concerns that table only becomes a {@link Refusal}. */
export async function refusable<T>(topic: TopicName, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw parksTable(error) ? new Refusal(topic, error) : error;
  }
}
