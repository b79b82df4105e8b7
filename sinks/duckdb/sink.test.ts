import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { silent } from '../../log.ts';
import { sinkConformance } from '../../tests/conformance/sink.ts';
import { byText } from '../../tests/conformance/sink-crash.ts';
import type { SinkTarget } from '../../tests/conformance/sink-under-test.ts';
import { memoryRegistry } from '../../tests/support/changes.ts';
import { identifier } from '../sql.ts';
import { duckdbSink, type DuckdbSink } from './sink.ts';

/** Removed when all tests are done, also what a test that failed has left in it. */
const all = mkdtempSync(join(tmpdir(), 'millrace-duckdb-'));
afterAll(() => rm(all, { recursive: true, force: true }));
let targets = 0;

const writer = join(import.meta.dirname, '../../tests/conformance/duckdb-writer.ts');

async function target(): Promise<SinkTarget> {
  const folder = join(all, String(++targets));
  await mkdir(folder);
  const path = join(folder, 'shop.duckdb');
  const open = (options: Parameters<SinkTarget['sink']>[0]): DuckdbSink => {
    const { registry, ...rest } = options;
    return duckdbSink(
      { path, pipeline: 'conformance', prefix: 'shop', threads: 1, ...rest },
      { registry, log: silent },
    );
  };
  return {
    sink: open,
    async rows(table, columns) {
      const name = table.split('.').map(identifier).join('.');
      const texts = columns.map((column) => `${identifier(column)}::VARCHAR`).join(', ');
      await using sink = open({ registry: memoryRegistry() });
      const { rows } = await sink.query(`SELECT ${texts} FROM ${name}`, { rowsMax: 1_000_000 });
      return rows.map((row) => row.map((value) => value as string | null)).sort(byText);
    },
    async tables() {
      await using sink = open({ registry: memoryRegistry() });
      const { rows } = await sink.query(
        `SELECT schema_name || '.' || table_name FROM duckdb_tables()
         WHERE schema_name <> '_millrace' ORDER BY 1`,
      );
      return rows.map(([name]) => String(name));
    },
    startWriter: () =>
      spawn(process.execPath, [writer, path], { stdio: ['ignore', 'pipe', 'inherit'] }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

sinkConformance('duckdb', { target });
