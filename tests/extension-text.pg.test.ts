import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { equalText, type TypedValues } from './support/equal-text.ts';
import { captured } from './support/carried-values.ts';
import { geometries, vectors } from './support/extension-values.ts';
import { hasExtension, startPostgres, type TestPostgres } from './support/postgres.ts';
import { seed } from './support/seed.ts';

/**
 * The types of pgvector and PostGIS the whole way into DuckDB, as tests/equal-text.pg.test.ts has the
 * others. Skipped where there is no server with the extension: tests/support/postgres.ts says how to get one.
 */
let server: TestPostgres;
let folder: string;

/** SRID=4326;POINT(1 2) */
const point = Buffer.from('0101000020e6100000000000000000f03f0000000000000040', 'hex').toString(
  'base64',
);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-extension-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** A type with an order, two values, and the first in the header of a changed key. */
const keys = {
  vector: ['sparsevec(9)', '{2:0.5}/9', '{3:1}/9', '{"k":{"dimensions":9,"vector":{"2":0.5}}}'],
  postgis: ['geography', 'POINT(1 2)', 'POINT(3 4)', `{"k":{"wkb":"${point}","srid":4326}}`],
} as const;

describe.each([
  ['vector', vectors, 'DOUBLE[] DOUBLE[] FLOAT[] FLOAT[] JSON JSON VARCHAR DOUBLE[][]'],
  ['postgis', geometries, 'JSON JSON JSON JSON[] JSON'],
] as const)('values of the types of %s', (extension, types, columns) => {
  describe.skipIf(!hasExtension(extension))('where a server has it', () => {
    beforeAll(async () => {
      server = await startPostgres({ extension });
    });
    afterAll(async () => {
      await server[Symbol.asyncDispose]();
    });

    test('have equal text in Postgres and in DuckDB', async () => {
      const tables = Object.entries(types).map(([type, values]): TypedValues => [
        type,
        fc.sample(values, { seed, numRuns: 16 }),
      ]);
      const setup = `create extension ${extension}`;
      const found = await equalText({ server, folder, setup, tables });
      expect(found.differences, `seed ${seed}`).toEqual([]);
      expect(found.columns.join(' ')).toBe(columns);
    }, 110_000);

    test('are keys: rows are found again by them, and a changed key is told', async () => {
      const [type, before, after, told] = keys[extension];
      const seen = await captured(
        server,
        `create extension ${extension}; create table t (k ${type} primary key); insert into t values ('${before}')`,
        `update t set k = '${after}'`,
      );
      expect(seen.map(({ op, headers }) => [op, Object.values(headers)])).toEqual([
        ['r', []],
        ['d', [expect.any(String)]],
        ['tombstone', [expect.any(String)]],
        ['c', [told]],
      ]);
    });
  });
});
