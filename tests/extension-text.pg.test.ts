import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { equalText, type TypedValues } from './support/equal-text.ts';
import { geometries, vectors } from './support/extension-values.ts';
import { hasExtension, startPostgres, type TestPostgres } from './support/postgres.ts';
import { seed } from './support/seed.ts';

/**
 * The types of pgvector and PostGIS the whole way into DuckDB, as tests/equal-text.pg.test.ts has the
 * others. Skipped where there is no server with the extension: tests/support/postgres.ts says how to get one.
 */
let server: TestPostgres;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-extension-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

describe.each([
  ['vector', vectors, 'DOUBLE[] DOUBLE[] FLOAT[] FLOAT[] JSON JSON VARCHAR DOUBLE[][]'],
  ['postgis', geometries, 'JSON JSON JSON JSON'],
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
  });
});
