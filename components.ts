import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { version } from './version.ts';
import type { BrokerConfig, Config, SinkConfig, SourceConfig } from './config.ts';
import type { Connector } from './connectors/connector.ts';
import type { Log } from './log.ts';
import type { Processor } from './processors/processor.ts';
import type {
  Components,
  QueryableSink,
  QueryOptions,
  QueryResult,
  SourceObserver,
} from './runtime/components.ts';
import type { TableShape } from './schemas/envelope.ts';
import type { SchemaRegistry } from './schemas/registry.ts';
import type { PendingChange } from './sinks/evolution.ts';
import type { TableOptions, TargetOptions } from './sinks/target.ts';

/** What components are made with, besides their part of the configuration. */
interface Workshop {
  readonly config: Config;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
}

/**
 * The one table of kinds. A component is imported when it is opened, so a pipeline loads the drivers
 * of what it uses and nothing else. To add one: its folder, its member in config.ts, its line here.
 */
const brokers: {
  readonly [Kind in BrokerConfig['kind']]: (
    options: Extract<BrokerConfig, { readonly kind: Kind }>,
    workshop: Workshop,
  ) => ReturnType<Components['openBroker']>;
} = {
  embedded: async ({ path, fsync, compatibility }, { log }) => {
    const { openEmbedded } = await import('./broker/embedded/embedded.ts');
    return openEmbedded({ path, fsync, compatibility: ruleOf(compatibility) }, log);
  },
  kafka: async ({ path, compatibility, ...connection }, { config, log }) => {
    const { openKafka } = await import('./broker/kafka/kafka.ts');
    const { kafkaOptions } = await import('./broker/kafka/configured.ts');
    const { registryFile } = await import('./schemas/registry-file.ts');
    await using stack = new AsyncDisposableStack();
    const registry = stack.use(registryFile(path, ruleOf(compatibility)));
    const options = await kafkaOptions(connection, `${config.pipeline}.`);
    const broker = stack.use(await openKafka(options, log));
    const opened = stack.move();
    return { broker, registry, [Symbol.asyncDispose]: () => opened.disposeAsync() };
  },
};

function openBroker(workshop: Workshop): ReturnType<Components['openBroker']> {
  const { broker } = workshop.config;
  switch (broker.kind) {
    case 'embedded':
      return brokers.embedded(broker, workshop);
    case 'kafka':
      return brokers.kafka(broker, workshop);
  }
}

const ruleOf = (compatibility: 'backward' | 'none') =>
  compatibility === 'none' ? 'NONE' : 'BACKWARD';

const sources = {
  postgres: async (options: SourceConfig, wiring: SourceWiring): Promise<Connector> => {
    const { postgresConnector } = await import('./connectors/postgres/connector.ts');
    const { kind: _, heartbeatInterval, ...settings } = options;
    const { config, newTables, environment, log, observer, registry } = wiring;
    return postgresConnector({
      ...defined(settings),
      ...observer,
      tables: options.tables,
      newTables,
      heartbeatIntervalMs: heartbeatInterval,
      pipeline: config.pipeline,
      prefix: config.pipeline,
      partitions: config.partitions,
      environment,
      version,
      registry,
      log,
    });
  },
} satisfies Record<SourceConfig['kind'], unknown>;

const sinks = {
  duckdb: async (options: SinkConfig, wiring: SinkWiring): Promise<QueryableSink> => {
    const { duckdbSinkInThread } = await import('./sinks/duckdb/thread.ts');
    const {
      kind: _,
      name: __,
      batchBytesMax: ___,
      batchRowsMax: ____,
      memoryLimit,
      ...settings
    } = options;
    const { config, log, registry } = wiring;
    return duckdbSinkInThread(
      {
        ...defined(settings),
        tables: tableOptions(options),
        memoryLimit: `${Math.max(1, Math.floor(memoryLimit / 1024))}KiB`,
        pipeline: config.pipeline,
        prefix: config.pipeline,
        tombstoneRetentionMs: config.topics.tombstoneRetention,
      },
      { registry, log },
    );
  },
} satisfies Record<SinkConfig['kind'], unknown>;

/** How a sink is asked when no pipeline has it open. */
const readers = {
  duckdb: async (sink: SinkConfig, sql: string, options: QueryOptions): Promise<QueryResult> => {
    const { openDuckdbReadOnly } = await import('./sinks/duckdb/sink.ts');
    await using reader = await openDuckdbReadOnly(sink.path);
    return await reader.query(sql, options);
  },
} satisfies Record<SinkConfig['kind'], unknown>;

/** What a sink that nobody has open would have to change, by table; null where it has none yet. */
const planners = {
  duckdb: async (
    sink: SinkConfig,
    prefix: string,
    shapes: readonly TableShape[],
  ): Promise<(PendingChange | null)[]> => {
    if (!existsSync(sink.path)) return shapes.map(() => null);
    const { openDuckdbReadOnly } = await import('./sinks/duckdb/sink.ts');
    await using reader = await openDuckdbReadOnly(sink.path);
    const found: (PendingChange | null)[] = [];
    for (const shape of shapes) {
      found.push(await reader.pending(targetOptions(sink, prefix), shape));
    }
    return found;
  },
} satisfies Record<SinkConfig['kind'], unknown>;

/** Where a sink puts its tables, and what may happen to them. */
export function targetOptions(sink: SinkConfig, prefix: string): TargetOptions {
  const { mode, delete: deletes, evolution, allow } = sink;
  return { prefix, tables: tableOptions(sink), mode, delete: deletes, evolution, allow };
}

/** What is said of single tables, as sinks take it. */
function tableOptions(sink: SinkConfig): Readonly<Record<string, TableOptions>> {
  return Object.fromEntries(
    Object.entries(sink.tables).map(([table, options]) => [table, defined(options)]),
  );
}

type SourceWiring = Workshop & {
  readonly registry: SchemaRegistry;
  readonly observer: SourceObserver | undefined;
  readonly newTables: readonly string[];
};
type SinkWiring = Workshop & { readonly registry: SchemaRegistry };

/** The parts of a configured pipeline, and its sinks as files to read from. */
export type ConfiguredComponents = Components & {
  query(sink: SinkConfig, sql: string, options: QueryOptions): Promise<QueryResult>;
  pending(sink: SinkConfig, shapes: readonly TableShape[]): Promise<(PendingChange | null)[]>;
};

export function componentsOf(
  config: Config,
  { environment }: Pick<Workshop, 'environment'>,
  log: Log,
): ConfiguredComponents {
  const workshop: Workshop = { config, environment, log };
  return {
    openBroker: () => openBroker(workshop),
    openConnector: (registry, observer, newTables = []) =>
      sources[config.source.kind](config.source, { ...workshop, registry, observer, newTables }),
    openProcessor: (registry) => openCompact(workshop, registry),
    openSink: (sink, registry) => sinks[sink.kind](sink, { ...workshop, registry }),
    query: (sink, sql, options) => readers[sink.kind](sink, sql, options),
    pending: (sink, shapes) => planners[sink.kind](sink, config.pipeline, shapes),
  };
}

async function openCompact(
  { config, log }: Workshop,
  registry: SchemaRegistry,
): Promise<Processor> {
  const { compactProcessor } = await import('./processors/compact/compact.ts');
  return compactProcessor(
    {
      stateDirectory: join(config.broker.path, 'state'),
      tombstoneRetentionMs: config.topics.tombstoneRetention,
    },
    { registry, log },
  );
}

type Defined<T> = { [Key in keyof T]: Exclude<T[Key], undefined> };

/** Without the fields that are undefined, so that defaults apply. */
export function defined<T extends object>(options: T): Defined<T> {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as Defined<T>;
}
