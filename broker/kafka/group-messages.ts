import { requireSuccess } from './failure.ts';
import type { Message } from './message.ts';

export interface Joining {
  readonly group: string;
  /** Empty for a new member. */
  readonly member: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  /** Name of the way to share partitions out, which all members must have in common. */
  readonly protocol: string;
  readonly subscription: Buffer;
}

export interface Joined {
  /** 0, or `MEMBER_ID_REQUIRED`: then to be asked again as `member`. */
  readonly error: number;
  readonly generation: number;
  readonly leader: string;
  readonly member: string;
  /** Who is in the group; for its leader only. */
  readonly members: readonly { readonly member: string; readonly subscription: Buffer }[];
}

export const joinGroup = (joining: Joining): Message<Joined> => ({
  api: 11,
  name: 'JoinGroup',
  version: 5,
  timeoutMs: joining.rebalanceTimeoutMs + 10_000,
  write(out) {
    out.string(joining.group).int32(joining.sessionTimeoutMs).int32(joining.rebalanceTimeoutMs);
    out.string(joining.member).string(null).string('consumer');
    out.array([joining.protocol], (name) => {
      out.string(name).bytes(joining.subscription);
    });
  },
  read(answer) {
    answer.int32();
    const [error, generation] = [answer.int16(), answer.int32()];
    answer.string();
    const [leader, member] = [answer.string() ?? '', answer.string() ?? ''];
    const members = answer.array(() => {
      const member = answer.string() ?? '';
      answer.string();
      return { member, subscription: answer.bytesOf() };
    });
    return { error, generation, leader, member, members };
  },
});

/** Who speaks: a member, as of a generation of its group. */
export interface Membership {
  readonly group: string;
  readonly generation: number;
  readonly member: string;
}

/** The leader hands out what each member gets; everyone is told its own. */
export const syncGroup = (
  { group, generation, member }: Membership,
  shares: ReadonlyMap<string, Buffer>,
): Message<Buffer> => ({
  api: 14,
  name: 'SyncGroup',
  version: 2,
  timeoutMs: 60_000,
  write(out) {
    out.string(group).int32(generation).string(member);
    out.array([...shares], ([member, share]) => {
      out.string(member).bytes(share);
    });
  },
  read(answer) {
    answer.int32();
    requireSuccess(answer.int16(), `group ${group}`);
    return answer.bytesOf();
  },
});

export const heartbeat = ({ group, generation, member }: Membership): Message<void> => ({
  api: 12,
  name: 'Heartbeat',
  version: 2,
  write: (out) => out.string(group).int32(generation).string(member),
  read(answer) {
    answer.int32();
    requireSuccess(answer.int16(), `group ${group}`);
  },
});

export const leaveGroup = ({ group, member }: Membership): Message<void> => ({
  api: 13,
  name: 'LeaveGroup',
  version: 2,
  write: (out) => out.string(group).string(member),
  read(answer) {
    answer.int32();
    requireSuccess(answer.int16(), `group ${group}`);
  },
});

/** Groups that a node coordinates. */
export const listGroups = (): Message<readonly string[]> => ({
  api: 16,
  name: 'ListGroups',
  version: 1,
  write: () => undefined,
  read(answer) {
    answer.int32();
    requireSuccess(answer.int16(), 'groups');
    return answer
      .array(() => ({ group: answer.string() ?? '', protocol: answer.string() }))
      .map(({ group }) => group);
  },
});

/** How many members each group has. */
export const describeGroups = (
  groups: readonly string[],
): Message<readonly { readonly group: string; readonly members: number }[]> => ({
  api: 15,
  name: 'DescribeGroups',
  version: 1,
  write: (out) => out.array(groups, (group) => out.string(group)),
  read(answer) {
    answer.int32();
    return answer.array(() => {
      answer.int16();
      const group = answer.string() ?? '';
      for (let field = 0; field < 3; field++) answer.string();
      const members = answer.array(() => {
        for (let field = 0; field < 3; field++) answer.string();
        answer.bytesOf();
        answer.bytesOf();
      });
      return { group, members: members.length };
    });
  },
});
