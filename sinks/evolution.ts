import { type ErrorCode, MillraceError } from '../errors.ts';
import { OWN_COLUMNS, type Column, type Dialect } from './dialect.ts';

/** What may happen to the columns of a table in the source. */
export const CHANGE_KINDS = ['add', 'drop', 'widen', 'rename'] as const;
export type ChangeKind = (typeof CHANGE_KINDS)[number];

/**
 * What a sink does about changes of columns. `evolve` follows them all, `additive` only adds columns
 * and never alters one, `freeze` parks the table at the first change, `stop` ends the pipeline there.
 */
export const POLICIES = ['evolve', 'additive', 'freeze', 'stop'] as const;
export type Policy = (typeof POLICIES)[number];

/** A policy, and what differs from it for single kinds of change. */
export interface Rules {
  readonly policy: Policy;
  readonly allow: Readonly<Partial<Record<ChangeKind, boolean | undefined>>>;
}

export type ColumnChange =
  /** `revived`: the column was dropped before and is a new one of the same name now. */
  | { readonly kind: 'add'; readonly column: Column; readonly revived: boolean }
  /** The column stays in the sink, NULL in rows that are new or change. */
  | { readonly kind: 'drop'; readonly name: string }
  | { readonly kind: 'widen'; readonly column: Column; readonly from: string }
  /** The old column stays as a dropped one does; its values are not copied into the new one. */
  | { readonly kind: 'rename'; readonly from: string; readonly column: Column };

/** The columns of a table in the sink. */
export interface Columns {
  readonly columns: readonly Column[];
  /** Names of those that the source does not have any more. */
  readonly dropped: readonly string[];
}

/** What has to happen to a table's columns before rows of a schema fit into it, and what they are then. */
export interface Evolution extends Columns {
  readonly changes: readonly ColumnChange[];
}

/** What the next rows of a table will do to its columns in the sink. */
export interface PendingChange {
  /** In words; empty if nothing changes, or if it is refused. */
  readonly changes: readonly string[];
  /** Why the table will be parked, or the pipeline stopped; null if it will not. */
  readonly refused: { readonly code: ErrorCode; readonly message: string } | null;
}

export interface Asked {
  readonly dialect: Pick<Dialect, 'widest'>;
  readonly rules: Rules;
  readonly place: string;
  /** The rows are older than others that the table has: they have to fit in, but say nothing of it. */
  readonly late: boolean;
}

/**
 * Decides what a schema asks of a table (I7): new columns are added, a type becomes one that holds all
 * that was and will be exactly, a column that the schema no longer has stays. What the rules refuse is
 * `SINK_CHANGE_REFUSED` or `SINK_CHANGE_STOPPED`, what cannot be done `SINK_TABLE_CONFLICT`. This is the
 * one place where such decisions are made; it changes nothing.
 */
export function evolve(stored: Columns, wanted: readonly Column[], asked: Asked): Evolution {
  refuseCollisions(wanted, asked.place);
  const columns = [...stored.columns];
  const changes: ColumnChange[] = [];
  for (const column of wanted) {
    const at = columns.findIndex(({ name }) => sameName(name, column.name));
    const found = columns[at];
    if (found === undefined) {
      changes.push({ kind: 'add', column, revived: false });
      columns.push(column);
      continue;
    }
    if (found.name !== column.name) throw sameButForCase(found.name, column.name, asked.place);
    const type = typeFor(found, column, asked);
    if (type !== found.type) {
      columns[at] = { name: column.name, type };
      changes.push({ kind: 'widen', column: { name: column.name, type }, from: found.type });
    }
    if (!asked.late && stored.dropped.includes(column.name)) {
      changes.push({ kind: 'add', column: { name: column.name, type }, revived: true });
    }
  }
  if (asked.late) {
    for (const change of changes) refuseByRules(change, asked);
    return { changes, columns, dropped: stored.dropped };
  }
  const dropped = stored.columns.flatMap(({ name }) =>
    wanted.some((column) => column.name === name) ? [] : name,
  );
  const gone = dropped.filter((name) => !stored.dropped.includes(name));
  const named = withRename(changes, gone, stored.columns);
  for (const change of named) refuseByRules(change, asked);
  return { changes: named, columns, dropped };
}

/** Says a change in words, as logs and `plan` do. */
export function changeText(change: ColumnChange): string {
  switch (change.kind) {
    case 'add':
      return change.revived
        ? `column ${change.column.name} is back: its old values are cleared`
        : `add column ${change.column.name} ${change.column.type}`;
    case 'drop':
      return `keep column ${change.name}, which the source dropped`;
    case 'widen':
      return `widen column ${change.column.name} from ${change.from} to ${change.column.type}`;
    case 'rename':
      return `add column ${change.column.name} ${change.column.type} and keep ${change.from}, which it seems to be a new name of`;
  }
}

function typeFor(found: Column, wanted: Column, { dialect, place, late }: Asked): string {
  const type = dialect.widest(found.type, wanted.type);
  if (type !== null) return type;
  // What was widened since these rows were written holds them.
  if (late && dialect.widest(wanted.type, found.type) === found.type) return found.type;
  // I7: what no type holds exactly is refused.
  throw new MillraceError(
    'SINK_TABLE_CONFLICT',
    `column ${wanted.name} is ${found.type} and the topic now has ${wanted.type}`,
    {
      place,
      expected: 'a type that holds the values of both exactly',
      remedy: 'Alter the column in the sink and resume the table, or rebuild the table.',
    },
  );
}

/**
 * One column gone and one of the same type new at once looks like a new name. It may as well be a drop
 * and an add, which a topic cannot tell, so nothing is made of it but words.
 */
function withRename(
  changes: readonly ColumnChange[],
  gone: readonly string[],
  before: readonly Column[],
): readonly ColumnChange[] {
  const added = changes.filter((change) => change.kind === 'add' && !change.revived);
  const [add] = added;
  const [from] = gone;
  const old = before.find(({ name }) => name === from);
  const alone = added.length === 1 && gone.length === 1;
  if (alone && add?.kind === 'add' && old !== undefined && old.type === add.column.type) {
    const rename: ColumnChange = { kind: 'rename', from: old.name, column: add.column };
    return changes.map((change) => (change === add ? rename : change));
  }
  return [...changes, ...gone.map((name): ColumnChange => ({ kind: 'drop', name }))];
}

/** What a policy allows where nothing else is said. */
const ALLOWED: Readonly<Record<Policy, readonly ChangeKind[]>> = {
  evolve: CHANGE_KINDS,
  additive: ['add', 'drop', 'rename'],
  freeze: [],
  stop: [],
};

function refuseByRules(change: ColumnChange, { rules: { policy, allow }, place }: Asked): void {
  const { kind } = change;
  if (allow[kind] ?? ALLOWED[policy].includes(kind)) return;
  throw new MillraceError(
    policy === 'stop' ? 'SINK_CHANGE_STOPPED' : 'SINK_CHANGE_REFUSED',
    `the policy ${policy} refuses to ${changeText(change)}`,
    { place, expected: `\`allow.${kind}: true\`, or another \`evolution\`` },
  );
}

function sameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

function refuseCollisions(wanted: readonly Column[], place: string): void {
  const seen = new Map<string, string>();
  for (const { name } of wanted) {
    const lower = name.toLowerCase();
    const other = seen.get(lower);
    if (other !== undefined) throw sameButForCase(other, name, place);
    if (OWN_COLUMNS.some((own) => own === lower)) {
      throw new MillraceError(
        'SINK_TABLE_CONFLICT',
        `column ${name} has the name of a column that Millrace adds`,
        {
          place,
          expected: `no column named ${OWN_COLUMNS.join(', ')}`,
          remedy: 'Leave the column out at the source, or rename it there.',
        },
      );
    }
    seen.set(lower, name);
  }
}

function sameButForCase(one: string, other: string, place: string): MillraceError {
  return new MillraceError(
    'SINK_TABLE_CONFLICT',
    `columns ${one} and ${other} differ by case only`,
    {
      place,
      expected: 'names that differ also without regard to case',
      remedy: 'Leave one of them out at the source, or rename it there.',
    },
  );
}
