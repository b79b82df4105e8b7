import { z } from 'zod';
import { ConfigDocument } from './config/document.ts';
import { duckdbSink } from './config/duckdb-sink.ts';
import { group } from './config/group.ts';
import { describeIssue, type OptionTree } from './config/issues.ts';
import { kafkaBroker, kafkaMistakes } from './config/kafka-broker.ts';
import { type Mistake, raise } from './config/mistakes.ts';
import { postgresSource } from './config/postgres-source.ts';
import { duration, durationOrNever, flag, oneOf, text, whole } from './config/units.ts';

/**
 * The one description of millrace.yaml. `--help`, `init`'s comments, docs/configuration.md and every
 * message about a mistake come from it; inside the system there is only the typed value.
 */
const embeddedBroker = group({
  kind: z.literal('embedded').describe('Topics in one SQLite file in this process.'),
  path: text('a folder').prefault('./.millrace').describe('Folder of the topics file.'),
  fsync: flag()
    .prefault(true)
    .describe('Wait for the disk at each publish. Off, a power cut may lose the newest changes.'),
  compatibility: oneOf(['backward', 'none'])
    .prefault('none')
    .describe(
      'What a new schema of a topic must be able to read: what the last one wrote, or nothing, as sinks decide by table.',
    ),
});

const topics = group({
  rawRetention: durationOrNever().prefault('7d').describe('How long raw topics keep a change.'),
  changesRetention: durationOrNever()
    .prefault('never')
    .describe('After how long `.changes` topics may forget a change.'),
  tombstoneRetention: duration()
    .prefault('7d')
    .describe('How long a deleted key is remembered, so that a late older change stays out.'),
});

const http = group({
  host: text('an address').prefault('127.0.0.1').describe('Address to listen on.'),
  port: whole(0, 65_535)
    .optional()
    .describe(
      'Port of /metrics, /healthz, /readyz, /status and /query; 0 for any free one. If not given 8090, or any free one if that is taken.',
    ),
});

const log = group({
  level: oneOf(['debug', 'info', 'warn', 'error', 'silent'])
    .prefault('info')
    .describe('What is logged to standard error, as JSON lines.'),
});

const expectKind = (kinds: readonly string[]) => ({ error: `kind: ${kinds.join(' or ')}` });

export const configSchema = group({
  pipeline: text('a name')
    .regex(/^[a-z][a-z0-9_]{0,39}$/, 'lower-case letters, digits and underscores, at most 40')
    .describe('Name of the pipeline: prefix of its topics and groups. Do not change it later.'),
  broker: z
    .discriminatedUnion('kind', [embeddedBroker, kafkaBroker], expectKind(['embedded', 'kafka']))
    .prefault({ kind: 'embedded' })
    .describe('Where the topics are.'),
  source: z
    .discriminatedUnion('kind', [postgresSource], expectKind(['postgres']))
    .describe('What is captured.'),
  sinks: z
    .array(z.discriminatedUnion('kind', [duckdbSink], expectKind(['duckdb'])), {
      error: 'a list of sinks',
    })
    .min(1, 'at least one sink')
    .describe('Where the changes go.'),
  partitions: whole(1, 256)
    .prefault(1)
    .describe(
      'Partitions of every topic of a table. One process gains nothing from more. With several, a row whose key changes may be gone from its old place in the sink before it is in its new one. Do not change it later.',
    ),
  topics: topics.prefault({}).describe('How long topics keep what they hold.'),
  http: http.prefault({}).describe('The console of a running pipeline.'),
  log: log.prefault({}).describe('Logging.'),
  drainTimeout: duration()
    .prefault('30s')
    .describe('How long a stop may take to finish the batches in hand.'),
});

export type Config = z.output<typeof configSchema>;
export type BrokerConfig = Config['broker'];
export type SourceConfig = Config['source'];
export type SinkConfig = Config['sinks'][number];

export interface ConfigOrigin {
  /** Name of the file, for messages. */
  readonly file: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads a configuration. `${NAME}` and `${NAME:default}` are replaced from the environment, inside
 * values only. Throws `CONFIG_INVALID` with every mistake at once, each with its place; the mistakes
 * are the error's `cause`.
 */
export function parseConfig(yaml: string, origin: ConfigOrigin): Config {
  const document = new ConfigDocument(yaml, origin);
  if (document.mistakes.length > 0 && document.broken) raise(document, document.mistakes);
  const parsed = configSchema.safeParse(document.value, { reportInput: true });
  const mistakes: Mistake[] = [...document.mistakes];
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      mistakes.push(...describeIssue(issue, document, optionTree()));
    }
    raise(document, mistakes);
  }
  mistakes.push(...contradictions(parsed.data, document));
  if (mistakes.length > 0) raise(document, mistakes);
  return parsed.data;
}

/** What single fields cannot know: names used twice, tables that the source does not capture. */
function contradictions(config: Config, document: ConfigDocument): Mistake[] {
  const { broker } = config;
  const found = broker.kind === 'kafka' ? kafkaMistakes(broker, document) : [];
  const { tables } = config.source;
  const uncaptured = (path: readonly PropertyKey[], said: object): Mistake[] =>
    Object.keys(said)
      .filter((table) => !tables.some((one) => one === table || one.includes('*')))
      .map((table) =>
        document.mistake([...path, table], {
          message: `${table} is not captured by the source`,
          expected: `one of: ${tables.join(', ')}`,
          candidates: { wrong: table, from: tables },
          onKey: true,
        }),
      );
  const names = new Set<string>();
  const paths = new Set<string>();
  config.sinks.forEach((sink, index) => {
    if (names.has(sink.name)) {
      found.push(
        document.mistake(['sinks', index, 'name'], {
          message: `two sinks are named ${sink.name}`,
          expected: 'a `name` of its own for each sink',
        }),
      );
    }
    names.add(sink.name);
    if (paths.has(sink.path)) {
      found.push(
        document.mistake(['sinks', index, 'path'], {
          message: `two sinks write to ${sink.path}`,
          expected: 'a file of its own for each sink',
        }),
      );
    }
    paths.add(sink.path);
    found.push(...uncaptured(['sinks', index, 'tables'], sink.tables));
  });
  const { rawRetention, changesRetention } = config.topics;
  if (config.partitions > 1 && (changesRetention ?? Infinity) < (rawRetention ?? Infinity)) {
    found.push(
      document.mistake(['topics', 'changesRetention'], {
        message: '`.changes` topics forget before raw topics do',
        expected:
          'with several `partitions` at least `rawRetention`: rows that move between them are looked up there',
      }),
    );
  }
  for (const option of ['filters', 'columns'] as const) {
    found.push(...uncaptured(['source', option], config.source[option]));
  }
  tables.forEach((table, index) => {
    if (tables.indexOf(table) === index) return;
    found.push(
      document.mistake(['source', 'tables', index], {
        message: `${table} is listed twice`,
        expected: 'each table once',
      }),
    );
  });
  return found;
}

/** The schema as JSON Schema of what a user writes: for documentation and for messages. */
export function optionTree(): OptionTree {
  return z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' }) as OptionTree;
}
