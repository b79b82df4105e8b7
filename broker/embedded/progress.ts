import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { BrokerState, Consumed } from '../broker.ts';
import type { Catalogue } from './catalogue.ts';
import { Group } from './group.ts';
import { placeOf, type PartitionLog } from './partition-log.ts';

/** An offset that a group has reached, resolved and found valid. */
export interface Reached {
  readonly group: Group;
  readonly log: PartitionLog;
  readonly next: number;
}

/** Groups and their committed offsets, in memory as in the file; a mere `commit` may wait in memory. */
export class Progress {
  readonly #catalogue: Catalogue;
  readonly #groups = new Map<string, Group>();
  readonly #unsaved = new Map<Group, Set<PartitionLog>>();
  readonly #raise: StatementSync;
  readonly #set: StatementSync;
  #generation: number;

  constructor(database: DatabaseSync, catalogue: Catalogue) {
    this.#catalogue = catalogue;
    const insert = 'INSERT INTO committed ("group", partition, next) VALUES (?, ?, ?)';
    // I2: never back, whatever order commits come in.
    this.#raise = database.prepare(
      `${insert} ON CONFLICT DO UPDATE SET next = max(next, excluded.next)`,
    );
    this.#set = database.prepare(`${insert} ON CONFLICT DO UPDATE SET next = excluded.next`);
    // Generations of another time the file was open are never valid again.
    const opened = database.prepare('UPDATE opened SET times = times + 1 RETURNING times').get();
    this.#generation = Number(opened?.['times']) * 2 ** 26;
    for (const row of database.prepare('SELECT * FROM committed').all()) {
      const log = catalogue.byId(Number(row['partition']));
      if (log !== undefined)
        this.group(String(row['group'])).committed.set(log, Number(row['next']));
    }
  }

  group(name: string): Group {
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = new Group(
        name,
        (topic) => this.#catalogue.partitions(topic),
        () => this.#generation++,
      );
      this.#groups.set(name, group);
    }
    return group;
  }

  /** Throws BROKER_FENCED if an assignment is no longer valid. */
  resolve(consumed: readonly Consumed[]): Reached[] {
    return consumed.map((one) => {
      const group = this.group(one.group);
      const log = this.#catalogue.partition(one.topic, one.partition);
      group.check(one, log);
      return { group, log, next: one.next };
    });
  }

  /** Writes in the open transaction; {@link reached} is to follow when it is committed. */
  write(reached: readonly Reached[]): void {
    for (const { group, log, next } of reached) this.#raise.run(group.name, log.id, next);
  }

  reached(reached: readonly Reached[]): void {
    for (const { group, log, next } of reached) {
      if (next > (group.committed.get(log) ?? -1)) group.committed.set(log, next);
    }
  }

  /**
   * The same for a publish that nobody can read yet: a member that takes over must start after it, but
   * whoever asks how far a group is must find what it has made. {@link shown} is to follow.
   */
  reachedUnseen(reached: readonly Reached[]): void {
    for (const { group, log } of reached) {
      const before = group.committedBefore.get(log) ?? group.committed.get(log) ?? -1;
      group.committedBefore.set(log, before);
    }
    this.reached(reached);
  }

  shown(reached: readonly Reached[]): void {
    for (const { group, log } of reached) group.committedBefore.delete(log);
  }

  /** Remembers progress that {@link writeUnsaved} writes with the next transaction. */
  note(reached: readonly Reached[]): void {
    this.reached(reached);
    for (const { group, log } of reached) {
      const logs = this.#unsaved.get(group) ?? new Set();
      this.#unsaved.set(group, logs.add(log));
    }
  }

  get hasUnsaved(): boolean {
    return this.#unsaved.size > 0;
  }

  writeUnsaved(): void {
    for (const [group, logs] of this.#unsaved) {
      for (const log of logs) {
        this.#raise.run(group.name, log.id, group.committed.get(log) ?? log.start);
      }
    }
  }

  saved(): void {
    this.#unsaved.clear();
  }

  /** The only way back (I2), in the open transaction; {@link sought} is to follow. */
  writeSeek(group: Group, log: PartitionLog, next: number): void {
    this.#set.run(group.name, log.id, next);
  }

  /** Whoever holds the partition is fenced, and starts again where the group was moved to. */
  sought(group: Group, log: PartitionLog, next: number): void {
    group.committed.set(log, next);
    group.fence(log);
  }

  wake(log: PartitionLog): void {
    for (const group of this.#groups.values()) group.wake(log);
  }

  /** First offset of a partition that a group with members on it has not done; Infinity if there is none. */
  needed(log: PartitionLog): number {
    let least = Infinity;
    for (const group of this.#groups.values()) {
      if (group.reads(log)) least = Math.min(least, group.committed.get(log) ?? log.start);
    }
    return least;
  }

  describe(): BrokerState['groups'] {
    const known = [...this.#groups.values()].filter(
      ({ members, committed }) => members > 0 || committed.size > 0,
    );
    return known.map(({ name, members, committed, committedBefore }) => ({
      group: name,
      members,
      committed: [...committed]
        .map(([log, next]) => placeOf(log, committedBefore.get(log) ?? next))
        .filter(({ next }) => next >= 0),
    }));
  }
}
