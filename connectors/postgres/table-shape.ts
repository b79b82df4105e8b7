import { topicName } from '../../broker/broker.ts';
import type { ColumnShape, TableShape } from '../../schemas/envelope.ts';
import { avroName } from '../../schemas/avro.ts';
import type { PgTable } from './table.ts';
import { codecOf } from './types/codec-of.ts';
import { MillraceError } from '../../errors.ts';

/**
 * How a table appears on its topic, and what a user should know of it. Throws `SCHEMA_INCOMPATIBLE` if
 * two columns would have one name there.
 */
export function tableShape(
  table: PgTable,
  prefix: string,
): { readonly shape: TableShape; readonly notes: string[] } {
  const notes: string[] = [];
  const columns = table.columns.map(({ name, type, optional }): ColumnShape => {
    const { codec, note } = codecOf(type);
    if (note !== null) notes.push(`${name}: ${note}`);
    return { name, type: codec.semantic, optional: optional && !table.key.includes(name) };
  });
  refuseClashes(table);
  const topic = topicName(prefix, table.schema, table.name);
  return { shape: { topic, columns, key: table.key }, notes };
}

/** Avro allows fewer names than Postgres: `a b` and `a_b` are one field. */
function refuseClashes(table: PgTable): void {
  const seen = new Map<string, string>();
  for (const { name } of table.columns) {
    const field = avroName(name);
    const other = seen.get(field);
    if (other !== undefined) {
      throw new MillraceError(
        'SCHEMA_INCOMPATIBLE',
        `The columns "${other}" and "${name}" are both ${field} on the topic.`,
        { place: `${table.schema}.${table.name}`, remedy: 'Rename one of the columns.' },
      );
    }
    seen.set(field, name);
  }
}
