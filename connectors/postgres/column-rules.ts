import { createHmac } from 'node:crypto';
import { MillraceError } from '../../errors.ts';
import type { ByteWriter } from '../../schemas/byte-writer.ts';
import type { ColumnRule, PgColumn, PgTable } from './table.ts';
import type { Cell, TypeCodec } from './types/type-codec.ts';

/** What is done to columns of a table before they reach a topic, by column name. */
export interface ColumnRules {
  /** Left out of the topic altogether. */
  readonly exclude?: readonly string[] | undefined;
  /** Replaced by `****`. */
  readonly mask?: readonly string[] | undefined;
  /** Replaced by its HMAC-SHA256 in hex: equal values stay equal. */
  readonly hash?: readonly string[] | undefined;
  /** Cut after so many characters. */
  readonly truncate?: Readonly<Record<string, number>> | undefined;
}

export interface RuleBook {
  /** By `schema.table`. */
  readonly columns?: Readonly<Record<string, ColumnRules>>;
  /** Of the HMAC. */
  readonly hashKey?: string;
}

/** The names that the rules of a table speak of. */
export function ruledColumns(table: PgTable, book: RuleBook): string[] {
  return [...rulesOf(table, book).keys()];
}

/** The table with its rules on its columns. Rules of columns that it does not have are passed over. */
export function withRules(table: PgTable, book: RuleBook): PgTable {
  const rules = rulesOf(table, book);
  if (rules.size === 0) return table;
  const columns = table.columns.map((column) => {
    const rule = rules.get(column.name);
    return rule === undefined ? column : { ...column, rule };
  });
  return { ...table, columns };
}

/** name, text, char(n), varchar(n): their values are the same bytes in both forms of the server. */
const TEXT_OIDS: ReadonlySet<number> = new Set([19, 25, 1042, 1043]);

function isText({ type }: PgColumn): boolean {
  return TEXT_OIDS.has(type.oid) || type.name === 'citext';
}

/** Throws `CONFIG_INVALID` for a rule that cannot be kept: then nothing is captured. */
export function checkRules(table: PgTable, book: RuleBook): void {
  const name = `${table.schema}.${table.name}`;
  for (const [column, rule] of rulesOf(table, book)) {
    const place = `source.columns, ${name}, ${rule.kind} ${column}`;
    const found = table.columns.find((each) => each.name === column);
    if (found === undefined) {
      throw invalid(
        `${name} has no column ${column}`,
        place,
        table.columns.map((each) => each.name).join(', '),
      );
    }
    if (table.key.includes(column)) {
      throw invalid('a rule on the primary key would join rows', place, 'a column outside the key');
    }
    if (rule.kind === 'hash' && rule.key === '') {
      throw invalid('there is no key to hash with', place, 'source.hashKey');
    }
    if (rule.kind !== 'exclude' && !isText(found)) {
      throw invalid(`${column} is ${found.type.name}`, place, 'a column of text, or `exclude`');
    }
  }
}

/** How the values of a column are written when its rule is kept. */
export function ruled(codec: TypeCodec, rule: ColumnRule): TypeCodec {
  if (rule.kind === 'exclude') return codec;
  const write = writerOf(rule);
  return { semantic: { kind: 'string' }, binary: write, text: write };
}

function writerOf(
  rule: Exclude<ColumnRule, { kind: 'exclude' }>,
): (cell: Cell, out: ByteWriter) => void {
  switch (rule.kind) {
    case 'mask':
      return (_, out) => out.string('****');
    case 'hash':
      return ({ bytes, start, end }, out) =>
        out.string(createHmac('sha256', rule.key).update(bytes.subarray(start, end)).digest('hex'));
    case 'truncate': {
      const { characters } = rule;
      return ({ bytes, start, end }, out) => {
        // A character has four bytes at most, so there are enough whole ones in these.
        const text = bytes.toString('utf8', start, Math.min(end, start + 4 * characters));
        out.string(Array.from(text).slice(0, characters).join(''));
      };
    }
  }
}

/** The rules of a table's columns, by their names. */
export function rulesOf(
  table: Pick<PgTable, 'schema' | 'name'>,
  book: RuleBook,
): Map<string, ColumnRule> {
  const found = new Map<string, ColumnRule>();
  const rules = book.columns?.[`${table.schema}.${table.name}`];
  if (rules === undefined) return found;
  for (const [column, characters] of Object.entries(rules.truncate ?? {})) {
    found.set(column, { kind: 'truncate', characters });
  }
  for (const column of rules.hash ?? [])
    found.set(column, { kind: 'hash', key: book.hashKey ?? '' });
  for (const column of rules.mask ?? []) found.set(column, { kind: 'mask' });
  // What hides most goes over the others.
  for (const column of rules.exclude ?? []) found.set(column, { kind: 'exclude' });
  return found;
}

function invalid(message: string, place: string, expected: string): MillraceError {
  return new MillraceError('CONFIG_INVALID', `${message}.`, { place, expected });
}
