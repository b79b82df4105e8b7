import { ByteReader } from '../../schemas/byte-reader.ts';
import { ByteWriter } from '../../schemas/byte-writer.ts';
import { defaultJson } from '../../schemas/default-json.ts';
import { MillraceError } from '../../errors.ts';
import { ruled } from './column-rules.ts';
import type { PgColumn, PgTable } from './table.ts';
import { codecsOf } from './types/codec-of.ts';
import type { TypeModes } from './types/modes.ts';
import { EXACTNESS, inexact, type TypeCodec } from './types/type-codec.ts';

/** How a column appears on its topic. */
export interface ColumnForm {
  readonly name: string;
  readonly codec: TypeCodec;
  readonly optional: boolean;
  /** Kept out of the topic. */
  readonly excluded: boolean;
  /** Its default as Avro's JSON; undefined if it has none that is a constant. */
  readonly default: unknown;
  /** What a user should know; null if there is nothing. */
  readonly note: string | null;
}

export function columnForms(table: PgTable, modes: TypeModes): ColumnForm[] {
  return codecsOf(table, modes).map(({ codec, note }, index): ColumnForm => {
    const column = table.columns[index] as PgColumn;
    const { name, rule } = column;
    const optional = column.optional && !table.key.includes(name);
    const form = { name, optional, note, excluded: rule?.kind === 'exclude' };
    // A default would tell what the rule hides.
    return rule === undefined
      ? { ...form, codec, default: defaultOf(column, codec) }
      : { ...form, codec: ruled(codec, rule), default: undefined };
  });
}

const BPCHAR = 1042;

function defaultOf({ type, default: expression }: PgColumn, codec: TypeCodec): unknown {
  const text = expression == null ? null : constantText(expression);
  if (text === null) return undefined;
  const out = new ByteWriter(64);
  try {
    const padded = type.oid === BPCHAR ? text.padEnd(type.modifier - 4) : text;
    const bytes = Buffer.from(padded);
    codec.text({ bytes, start: 0, end: bytes.length }, out);
  } catch (error) {
    // What the server turns into the column's type only when it is used: not a constant to us.
    if (error instanceof MillraceError) return undefined;
    throw error;
  }
  const { exactness } = inexact;
  inexact.exactness = EXACTNESS.exact;
  if (exactness !== EXACTNESS.exact) return undefined;
  return defaultJson(codec.semantic, new ByteReader(out.written()));
}

const LITERAL = /^(E?)'((?:[^']|'')*)'(?:::[^']+)?$/s;
const NUMBER = /^\(?(-?\d+(?:\.\d+)?)\)?(?:::[^']+)?$/;

/** The text of a constant in an expression as pg_get_expr prints it; null for any other expression. */
function constantText(expression: string): string | null {
  if (expression === 'true') return 't';
  if (expression === 'false') return 'f';
  const number = NUMBER.exec(expression)?.[1];
  if (number !== undefined) return number;
  const [, escaped, quoted] = LITERAL.exec(expression) ?? [];
  if (quoted === undefined) return null;
  const text = quoted.replaceAll("''", "'");
  return escaped === 'E' ? text.replaceAll('\\\\', '\\') : text;
}
