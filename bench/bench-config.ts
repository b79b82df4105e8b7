import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseConfig, type Config } from '../config.ts';
import { benchTable } from './workload.ts';

/**
 * What a user would write, and nothing tuned: the defaults are what is measured. `BENCH_BROKERS` names a
 * cluster without topics of ours, for one end-to-end hop over Kafka.
 */
export function benchYaml({ folder, url, slot = 'bench', tables = benchTable }: Place): string {
  return `pipeline: bench
broker: ${brokerYaml(join(folder, 'broker'))}
source: { kind: postgres, url: '${url}', tables: ['${tables}'], slot: ${slot} }
sinks:
  - { kind: duckdb, path: ${join(folder, 'sink.duckdb')} }
http: { port: 0 }
`;
}

function brokerYaml(path: string): string {
  const brokers = process.env['BENCH_BROKERS'];
  const kind = brokers === undefined ? 'embedded' : `kafka, brokers: ["${brokers}"]`;
  return `{ kind: ${kind}, path: ${path} }`;
}

export interface Place {
  readonly folder: string;
  readonly url: string;
  /** The replication slot; `bench` if not given. */
  readonly slot?: string;
  /** The tables captured, `*` for any characters; that of {@link benchTable} if not given. */
  readonly tables?: string;
  /** Folder for CPU profiles of the process; null for none. */
  readonly profile?: string | null;
}

/** The configuration of {@link benchYaml}, its folder made. */
export function benchConfig(place: Place): Config {
  mkdirSync(place.folder, { recursive: true });
  return parseConfig(benchYaml(place), { file: 'bench', environment: {} });
}

/** Where the embedded broker keeps its files. */
export const topicsFolder = (config: Config): string => config.broker.path;
