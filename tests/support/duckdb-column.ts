import { MillraceError } from '../../errors.ts';
import { silent } from '../../log.ts';
import type { SemanticType } from '../../schemas/semantic.ts';
import { duckdbSink } from '../../sinks/duckdb/sink.ts';
import { batchOf, memoryRegistry, TableChangesBuilder } from './changes.ts';

const signal = new AbortController().signal;

/** A table of one column that was written through the DuckDB sink. */
export interface WrittenColumn {
  /** DuckDB's name of the column's type. */
  readonly type: string;
  readonly texts: readonly (string | null)[];
}

/** Writes values of a type through a sink in memory and reads them as text, by an expression over `v`. */
export async function throughDuckdb(
  type: SemanticType,
  values: readonly unknown[],
  expression = 'v::VARCHAR',
): Promise<WrittenColumn> {
  const registry = memoryRegistry();
  const options = { path: ':memory:', pipeline: 'types', prefix: 'shop', threads: 1 };
  await using sink = duckdbSink(options, { registry, log: silent });
  const columns = [
    { name: 'id', type: { kind: 'int32' }, optional: false },
    { name: 'v', type, optional: true },
  ] as const;
  const shape = { topic: 'shop.public.t', key: ['id'], columns };
  const builder = await TableChangesBuilder.register(shape, registry);
  const { topic } = builder;
  await sink.open([{ topic, partition: 0 }]);
  const records = values.map((v, id) =>
    builder.record({ op: 'c', version: id + 1, after: { id, v } }),
  );
  const { refused } = await sink.write([batchOf(records, { topic })], signal);
  for (const { code, message, place } of refused) {
    throw new MillraceError(code, message, place === null ? {} : { place });
  }
  const { rows } = await sink.query(`SELECT typeof(v), ${expression} FROM public.t ORDER BY id`);
  return {
    type: String(rows[0]?.[0]),
    texts: rows.map(([, text]) => text as string | null),
  };
}
