import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { embeddedRegistry } from '../../schemas/embedded-registry.ts';
import { encoderContext } from '../../tests/support/recorded-stream.ts';
import { openTableEncoder } from './table-encoder.ts';
import type { PgColumn, PgTable } from './table.ts';

const int = { oid: 23, modifier: -1, name: 'integer', labels: null, element: null };
const text = { ...int, oid: 25, name: 'text' };

const table = (...columns: PgColumn[]): PgTable => ({
  oid: 1,
  schema: 'public',
  name: 't',
  columns: [{ name: 'id', type: int, optional: false }, ...columns],
  key: ['id'],
  identity: 'default',
});

test('a column that has become NOT NULL stays optional where readers must read what was written', async () => {
  using database = new DatabaseSync(':memory:');
  const context = { ...encoderContext(), registry: embeddedRegistry(database, 'BACKWARD') };
  await openTableEncoder(table({ name: 'a', type: int, optional: true }), context);
  const later = await openTableEncoder(
    table({ name: 'a', type: int, optional: false }, { name: 'b', type: int, optional: false }),
    context,
  );
  expect(later.table.columns.map(({ optional }) => optional)).toEqual([false, true, true]);
});

test('a type that readers cannot follow is refused', async () => {
  using database = new DatabaseSync(':memory:');
  const context = { ...encoderContext(), registry: embeddedRegistry(database, 'BACKWARD') };
  await openTableEncoder(table({ name: 'a', type: int, optional: true }), context);
  await expect(
    openTableEncoder(table({ name: 'a', type: text, optional: true }), context),
  ).rejects.toMatchObject({ code: 'SCHEMA_INCOMPATIBLE' });
});
