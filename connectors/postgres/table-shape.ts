import { topicName } from '../../broker/broker.ts';
import type { ColumnShape, TableShape } from '../../schemas/envelope.ts';
import { avroName, isAvroName, type NameAdjustment } from '../../schemas/avro.ts';
import type { PgTable } from './table.ts';
import { columnForms, type ColumnForm } from './column-form.ts';
import type { TypeModes } from './types/modes.ts';
import { MillraceError } from '../../errors.ts';

/** What the form of a table's topic depends on besides the table. */
export interface TopicForm {
  readonly prefix: string;
  readonly modes: TypeModes;
  readonly names: NameAdjustment;
}

/**
 * How a table appears on its topic, and what a user should know of it. Throws `SCHEMA_INCOMPATIBLE` if
 * two columns would have one name there, `SCHEMA_INVALID` for names that Avro does not allow and that
 * are not to be adjusted.
 */
export function tableShape(
  table: PgTable,
  { prefix, modes, names }: TopicForm,
): { readonly shape: TableShape; readonly notes: string[] } {
  const notes: string[] = [];
  const kept = columnForms(table, modes).filter(({ excluded }) => !excluded);
  const columns = kept.map((form): ColumnShape => {
    const { name, codec, optional, note } = form;
    if (note !== null) notes.push(`${name}: ${note}`);
    const shape = { name, type: codec.semantic, optional };
    return form.default === undefined ? shape : { ...shape, default: form.default };
  });
  refuseClashes(table, { names, kept });
  const topic = topicName(prefix, table.schema, table.name);
  if (names === 'none') refuseNames(topic, columns);
  return { shape: { topic, columns, key: table.key, names }, notes };
}

function refuseNames(topic: string, columns: readonly ColumnShape[]): void {
  const wrong = [...topic.split('.'), ...columns.map(({ name }) => name)].find(
    (name) => !isAvroName(name),
  );
  if (wrong === undefined) return;
  throw new MillraceError('SCHEMA_INVALID', `Avro does not allow the name ${wrong}.`, {
    place: topic,
    expected: 'letters, digits and underscores, the first not a digit',
    remedy: 'Set `nameAdjustment` of the source to avro or avro_unicode.',
  });
}

/** Avro allows fewer names than Postgres: `a b` and `a_b` are one field. */
function refuseClashes(
  table: PgTable,
  { names, kept }: { readonly names: NameAdjustment; readonly kept: readonly ColumnForm[] },
): void {
  const seen = new Map<string, string>();
  for (const { name } of kept) {
    const field = avroName(name, names);
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
