import { MillraceError } from '../../errors.ts';
import type { Consumed, TopicPartition } from '../broker.ts';
import { nameOf } from './offsets.ts';
import type { HeldPartition } from './held-partition.ts';

interface Holding<Member> {
  readonly held: HeldPartition;
  readonly subscriber: Member;
}

/** What this process holds of all groups: whose a generation is, and whether it is still valid. */
export class Groups<Member> {
  readonly #holdings = new Map<number, Holding<Member>>();
  /** Of another time the process ran, or of another process, none is ever valid here. */
  #generation = Date.now() * 1024;

  /** The generation of the next assignment. */
  next(): number {
    return ++this.#generation;
  }

  hold(held: HeldPartition, subscriber: Member): void {
    this.#holdings.set(held.generation, { held, subscriber });
  }

  release({ generation }: HeldPartition): void {
    this.#holdings.delete(generation);
  }

  /** Throws BROKER_FENCED if the assignment under which it was read has ended. */
  holding(consumed: Consumed): Holding<Member> {
    const found = this.#holdings.get(consumed.generation);
    const valid = found?.held.group === consumed.group && nameOf(found.held) === nameOf(consumed);
    if (found !== undefined && valid) return found;
    throw new MillraceError('BROKER_FENCED', 'The partition was assigned anew since it was read.', {
      place: `group ${consumed.group}, ${nameOf(consumed)}`,
    });
  }

  /** Who holds a partition for a group in this process; null if nobody does. */
  holderOf(group: string, partition: TopicPartition): Holding<Member> | null {
    for (const holding of this.#holdings.values()) {
      const { held } = holding;
      if (held.group === group && nameOf(held) === nameOf(partition)) return holding;
    }
    return null;
  }
}
