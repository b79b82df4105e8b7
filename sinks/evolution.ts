import { MillraceError } from '../errors.ts';
import { OWN_COLUMNS, type Column, type Dialect } from './dialect.ts';

/** What has to happen to a table's columns before rows of a schema fit into it. */
export interface Evolution {
  readonly add: readonly Column[];
  readonly widen: readonly Column[];
  /** The columns afterwards, in the table's order. */
  readonly columns: readonly Column[];
}

/**
 * Decides what a schema asks of a table (I7): new columns are added, a type becomes the narrowest that
 * holds both exactly, a column that the schema no longer has stays. Everything else is refused with
 * `SINK_TABLE_CONFLICT`. This is the one place where such decisions are made.
 */
export function evolve(
  stored: readonly Column[],
  wanted: readonly Column[],
  { dialect, place }: { dialect: Dialect; place: string },
): Evolution {
  refuseCollisions(wanted, place);
  const columns = [...stored];
  const add: Column[] = [];
  const widen: Column[] = [];
  for (const column of wanted) {
    const at = columns.findIndex(({ name }) => name.toLowerCase() === column.name.toLowerCase());
    const found = columns[at];
    if (found === undefined) {
      add.push(column);
      columns.push(column);
      continue;
    }
    if (found.name !== column.name) throw sameButForCase(found.name, column.name, place);
    const type = dialect.widest(found.type, column.type);
    if (type === null) {
      throw new MillraceError(
        'SINK_TABLE_CONFLICT',
        `column ${column.name} is ${found.type} and the topic now has ${column.type}`,
        { place, expected: 'a type that holds the values of both exactly' },
      );
    }
    if (type !== found.type) {
      widen.push({ name: column.name, type });
      columns[at] = { name: column.name, type };
    }
  }
  return { add, widen, columns };
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
