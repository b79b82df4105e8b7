/** Who may hold what: members by the topics they subscribe to. */
export interface Claimant {
  readonly topics: ReadonlySet<string>;
}

/**
 * Spreads partitions evenly over the members that subscribe to their topic, and moves as few as that
 * allows: a member keeps what it holds up to its fair share. Members are in the order they joined, so
 * the result is the same each time.
 */
export function assign<P extends { readonly topic: string }, M extends Claimant>(
  partitions: readonly P[],
  members: readonly M[],
  holder: (partition: P) => M | undefined,
): Map<P, M> {
  const target = new Map<P, M>();
  const load = new Map<M, number>(members.map((member) => [member, 0]));
  const give = (partition: P, member: M): void => {
    target.set(partition, member);
    load.set(member, (load.get(member) ?? 0) + 1);
  };
  const byTopic = Map.groupBy(partitions, ({ topic }) => topic);
  for (const [topic, ofTopic] of byTopic) {
    const able = members.filter(({ topics }) => topics.has(topic));
    if (able.length === 0) continue;
    // Whoever has least from other topics may keep one more, so that the remainders even out too.
    const ranked = able.toSorted((a, b) => (load.get(a) ?? 0) - (load.get(b) ?? 0));
    const share = new Map(
      ranked.map((member, rank) => [
        member,
        Math.floor(ofTopic.length / able.length) + (rank < ofTopic.length % able.length ? 1 : 0),
      ]),
    );
    const open: P[] = [];
    for (const partition of ofTopic) {
      const member = holder(partition);
      const left = member === undefined ? 0 : (share.get(member) ?? 0);
      if (member === undefined || left === 0) open.push(partition);
      else {
        share.set(member, left - 1);
        give(partition, member);
      }
    }
    const free = ranked.flatMap((member) =>
      Array.from({ length: share.get(member) ?? 0 }, () => member),
    );
    open.forEach((partition, index) => {
      const member = free[index];
      if (member !== undefined) give(partition, member);
    });
  }
  return target;
}
