import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { shopTables } from './shop.ts';

export const PIPELINE = 'shop';

/** Name of its sink. */
export const SINK = 'duckdb';

/** The DuckDB file in the demo's folder. */
export const sinkFile = (folder: string): string => join(folder, 'shop.duckdb');

/** Where the broker keeps its files. */
export const brokerFolder = (folder: string): string => join(folder, '.millrace');

/** Writes the `millrace.yaml` of the demo: the defaults, as a user would begin with them. */
export function writeConfig(folder: string, url: string): void {
  const yaml = `# The shop of the demo: everything that changes in Postgres, in DuckDB.
pipeline: ${PIPELINE}
broker: { kind: embedded, path: ./.millrace }
source:
  kind: postgres
  url: ${url}
  tables:
${shopTables.map((table) => `    - ${table}\n`).join('')}sinks:
  - kind: duckdb
    name: ${SINK}
    path: ./shop.duckdb
    tables:
      public.page_views: { mode: append } # it has no key
http: { port: 0 } # any free one
`;
  writeFileSync(join(folder, 'millrace.yaml'), yaml, { mode: 0o600 });
}
