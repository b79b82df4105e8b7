import { MillraceError } from '../../errors.ts';
import type { Consumed, TopicName } from '../broker.ts';
import { assign, type Claimant } from '../assignment.ts';
import type { PartitionLog } from './partition-log.ts';
import type { PartitionReader } from './partition-reader.ts';

/** A member as its group sees it. */
export interface Member extends Claimant {
  /** Something has changed for it: records, or its partitions. */
  wake(): void;
}

/** A partition in the hands of a member. */
export interface Assignment {
  readonly member: Member;
  readonly log: PartitionLog;
  /** New with each assignment and each seek; what was read under another is stale. */
  generation: number;
  /** Null until the member knows where to start. */
  reader: PartitionReader | null;
  /** An explicit seek has moved it. */
  sought: boolean;
}

/**
 * A consumer group: its members in this process, which partition is whose, and how far each is.
 *
 * A partition moves only when its holder lets go of it, between two deliveries, so that no batch in
 * hand is fenced by a member that joins. The members live in this process: one that never asks again
 * has ended, and its signal or its loop has told us.
 */
export class Group {
  readonly name: string;
  readonly committed = new Map<PartitionLog, number>();
  /** Of those in a publish that is not durable yet: what was committed before, -1 for nothing. */
  readonly committedBefore = new Map<PartitionLog, number>();
  readonly #held = new Map<PartitionLog, Assignment>();
  readonly #members: Member[] = [];
  readonly #partitions: (topic: TopicName) => readonly PartitionLog[];
  readonly #nextGeneration: () => number;
  #target = new Map<PartitionLog, Member>();

  constructor(
    name: string,
    partitions: (topic: TopicName) => readonly PartitionLog[],
    nextGeneration: () => number,
  ) {
    this.name = name;
    this.#partitions = partitions;
    this.#nextGeneration = nextGeneration;
  }

  get members(): number {
    return this.#members.length;
  }

  join(member: Member): void {
    for (const topic of member.topics) this.#partitions(topic as TopicName);
    this.#members.push(member);
    this.#rebalance();
  }

  /** What the member read is stale from now on; its partitions go to the others. */
  leave(member: Member): void {
    const at = this.#members.indexOf(member);
    if (at < 0) return;
    this.#members.splice(at, 1);
    for (const { log } of this.heldBy(member)) this.#held.delete(log);
    this.#rebalance();
  }

  /** Whether a member wants the partition. */
  reads(log: PartitionLog): boolean {
    return this.#target.has(log);
  }

  heldBy(member: Member): Assignment[] {
    return [...this.#held.values()].filter((held) => held.member === member);
  }

  /** Whether it is still the assignment of its partition, and of that generation. */
  isCurrent(assignment: Assignment, generation: number): boolean {
    return this.#held.get(assignment.log) === assignment && assignment.generation === generation;
  }

  /** What the member holds and is to hand on. */
  losing(member: Member): Assignment[] {
    return this.heldBy(member).filter(({ log }) => this.#target.get(log) !== member);
  }

  release(assignments: readonly Assignment[]): void {
    for (const assignment of assignments) {
      if (this.#held.get(assignment.log) !== assignment) continue;
      this.#held.delete(assignment.log);
      this.#target.get(assignment.log)?.wake();
    }
  }

  /** Takes what is meant for the member and in nobody's hands. */
  claim(member: Member): Assignment[] {
    const claimed: Assignment[] = [];
    for (const [log, target] of this.#target) {
      if (target !== member || this.#held.has(log)) continue;
      const generation = this.#nextGeneration();
      const assignment = { member, log, generation, reader: null, sought: false };
      this.#held.set(log, assignment);
      claimed.push(assignment);
    }
    return claimed;
  }

  wake(log: PartitionLog): void {
    this.#held.get(log)?.member.wake();
  }

  wakeAll(): void {
    for (const member of this.#members) member.wake();
  }

  /** Throws BROKER_FENCED unless it was read under the partition's present assignment. */
  check(consumed: Consumed, log: PartitionLog): void {
    if (this.#held.get(log)?.generation === consumed.generation) return;
    throw new MillraceError('BROKER_FENCED', 'The partition was assigned anew since it was read.', {
      place: `group ${this.name}, ${log.topic}-${log.partition}`,
    });
  }

  /** Fences whoever holds the partition; it starts again from the committed offset. */
  fence(log: PartitionLog): void {
    const held = this.#held.get(log);
    if (held === undefined) return;
    held.generation = this.#nextGeneration();
    held.reader = null;
    held.sought = true;
    held.member.wake();
  }

  #rebalance(): void {
    const topics = new Set(this.#members.flatMap(({ topics }) => [...topics]));
    const partitions = [...topics].flatMap((topic) => this.#partitions(topic as TopicName));
    this.#target = assign(partitions, this.#members, (log) => this.#held.get(log)?.member);
    for (const member of this.#members) member.wake();
  }
}
