/**
 * Every error that Millrace raises on purpose, in one table: what happened, what to do, which exit
 * code, and what a running stage does about it. This table is the documentation of the codes.
 *
 * `exit`: 1 runtime, 2 configuration, 3 environment.
 * `directive`: `retry` re-opens the stage after a back-off; `park` leaves the table where it is in a
 * sink, while the others go on; `dead-letter` parks the record's key; `stop` ends the pipeline. Whatever
 * is not in this table stops it. In a source `park` and `dead-letter` stop: it has one stream only.
 */
interface Code {
  readonly meaning: string;
  readonly remedy: string;
  readonly exit: 1 | 2 | 3;
  readonly directive: Directive;
}

export type Directive = 'retry' | 'park' | 'dead-letter' | 'stop';

export const codes = {
  // Configuration
  CONFIG_INVALID: {
    meaning: 'The configuration file does not describe a pipeline.',
    remedy: 'Correct the line shown; `millrace init` writes a commented example.',
    exit: 2,
    directive: 'stop',
  },
  CONFIG_MISSING: {
    meaning: 'There is no configuration file.',
    remedy: 'Run `millrace init`, or name the file with --config.',
    exit: 2,
    directive: 'stop',
  },
  CONFIG_EXISTS: {
    meaning: 'There is a configuration file already.',
    remedy: 'Give another name with --config, or overwrite it with --force.',
    exit: 2,
    directive: 'stop',
  },
  USAGE: {
    meaning: 'The command line was not understood.',
    remedy: 'See `millrace --help`.',
    exit: 2,
    directive: 'stop',
  },
  // Broker
  BROKER_IN_USE: {
    meaning: 'Another process has the embedded broker open.',
    remedy: 'Stop that process, or give this pipeline a broker path of its own.',
    exit: 3,
    directive: 'stop',
  },
  BROKER_FENCED: {
    meaning: 'A partition or a producer was taken over by another worker.',
    remedy: 'Nothing: the worker rejoins and goes on from the committed offset.',
    exit: 1,
    directive: 'retry',
  },
  BROKER_FULL: {
    meaning: 'The disk of the embedded broker is full. Nothing was lost.',
    remedy: 'Free space or shorten retention, then start again.',
    exit: 3,
    directive: 'stop',
  },
  BROKER_CLOSED: {
    meaning: 'Something still used the broker after it was closed.',
    remedy: 'Report it with the log: a stage outlived its pipeline.',
    exit: 1,
    directive: 'stop',
  },
  BROKER_CORRUPT: {
    meaning: 'What the broker has stored cannot be read.',
    remedy: 'Restore it from a copy, or remove it and take a new snapshot.',
    exit: 3,
    directive: 'stop',
  },
  BROKER_UNREACHABLE: {
    meaning: 'The Kafka cluster did not answer, or is not able to serve now. Nothing was lost.',
    remedy: 'Check `broker.brokers` and the network. The pipeline tries again by itself.',
    exit: 3,
    directive: 'retry',
  },
  BROKER_AUTH: {
    meaning: 'The Kafka cluster refused the user or the password.',
    remedy: 'Check `broker.sasl`: mechanism, user and password.',
    exit: 3,
    directive: 'stop',
  },
  BROKER_TLS: {
    meaning: 'The encrypted connection to the Kafka cluster could not be made.',
    remedy: 'Check `broker.tls`: the authority that is trusted, and the names in the certificate.',
    exit: 3,
    directive: 'stop',
  },
  BROKER_DENIED: {
    meaning: 'The Kafka cluster does not allow the user what the pipeline needs.',
    remedy:
      'Grant it: read and write on the topics, read on the groups, write on the transactional ids.',
    exit: 3,
    directive: 'stop',
  },
  BROKER_VERSION: {
    meaning: 'The Kafka cluster lacks something that the pipeline needs.',
    remedy: 'Use Apache Kafka 2.5 or newer, or Redpanda 24.3 or newer.',
    exit: 3,
    directive: 'stop',
  },
  BROKER_REFUSED: {
    meaning: 'The Kafka cluster refused a request, and would do so again.',
    remedy: 'The message is the reason that the cluster gave.',
    exit: 1,
    directive: 'stop',
  },
  GROUP_ACTIVE: {
    meaning: 'A consumer group has members in other processes, which would not notice the change.',
    remedy: 'Stop the processes that run this stage, then try again.',
    exit: 2,
    directive: 'stop',
  },
  TOPIC_MISMATCH: {
    meaning: 'A topic exists with other settings than the pipeline needs.',
    remedy: 'Set `partitions` to what the topic has, or use another pipeline name.',
    exit: 2,
    directive: 'stop',
  },
  TOPIC_UNKNOWN: {
    meaning: 'A topic does not exist.',
    remedy: 'Check its name with `millrace plan`; `millrace run` creates what is missing.',
    exit: 1,
    directive: 'stop',
  },
  RECORD_TOO_LARGE: {
    meaning: 'A record is larger than the broker accepts.',
    remedy: 'Exclude the column with `source.columns`, or cut it there with `truncate`.',
    exit: 1,
    directive: 'stop',
  },
  OFFSET_OUT_OF_RANGE: {
    meaning: 'The next record to read is no longer in the topic.',
    remedy: 'Take a new snapshot with `millrace run --resnapshot`.',
    exit: 1,
    directive: 'stop',
  },
  // Schemas
  SCHEMA_UNKNOWN: {
    meaning: 'A record names a schema id that the registry does not have.',
    remedy: 'Check that the registry is the one the topic was written with.',
    exit: 1,
    directive: 'stop',
  },
  SCHEMA_INCOMPATIBLE: {
    meaning: 'A new schema cannot be read by readers of the last one.',
    remedy: 'Set `broker.compatibility: none` and start again, or undo the change in the source.',
    exit: 1,
    directive: 'stop',
  },
  SCHEMA_INVALID: {
    meaning: 'A schema is not valid Avro.',
    remedy: 'Correct the part shown.',
    exit: 1,
    directive: 'stop',
  },
  REGISTRY_UNREACHABLE: {
    meaning: 'The schema registry did not answer.',
    remedy: 'Check its address and the network. The pipeline tries again by itself.',
    exit: 3,
    directive: 'retry',
  },
  REGISTRY_AUTH: {
    meaning: 'The schema registry refused the user, or what the user asked for.',
    remedy: 'Check user, password or token, and what the user may do with the subjects.',
    exit: 3,
    directive: 'stop',
  },
  REGISTRY_REFUSED: {
    meaning: 'The schema registry answered something unexpected.',
    remedy: 'Check that the address is the base of a Confluent-compatible interface.',
    exit: 3,
    directive: 'stop',
  },
  RECORD_MALFORMED: {
    meaning: 'A record is not what its topic promises.',
    remedy:
      'Nothing is lost, and nothing passes it. Find out who else writes to that topic, or report it with the record. To go on meanwhile, give the pipeline another name and sink: it copies all tables anew.',
    exit: 1,
    directive: 'dead-letter',
  },
  // Source
  SOURCE_UNREACHABLE: {
    meaning: 'The source database did not answer.',
    remedy: 'Check host, port and network. The pipeline tries again by itself.',
    exit: 3,
    directive: 'retry',
  },
  SOURCE_DISCONNECTED: {
    meaning: 'The connection to the source was lost.',
    remedy: 'Nothing: the pipeline reconnects and goes on where it was.',
    exit: 1,
    directive: 'retry',
  },
  SOURCE_LOCKS: {
    meaning: 'The server has no memory left for the locks of all tables.',
    remedy: 'Raise max_locks_per_transaction and restart the server, or capture fewer tables.',
    exit: 3,
    directive: 'stop',
  },
  SOURCE_STANDBY: {
    meaning:
      'The server is a standby that keeps the slot in step with its primary, for a fail-over.',
    remedy: 'Connect to the primary, or promote this server. The pipeline tries again by itself.',
    exit: 3,
    directive: 'retry',
  },
  SOURCE_AUTH: {
    meaning: 'The source refused the user or the password.',
    remedy: 'Check the URL, the password and pg_hba.conf.',
    exit: 3,
    directive: 'stop',
  },
  SOURCE_WAL_LEVEL: {
    meaning: 'The server does not write logical change records.',
    remedy: "ALTER SYSTEM SET wal_level = 'logical'; then restart the server.",
    exit: 3,
    directive: 'stop',
  },
  SOURCE_PRIVILEGE: {
    meaning: 'The user lacks a privilege that the source needs.',
    remedy: 'Run the SQL shown as a superuser.',
    exit: 3,
    directive: 'stop',
  },
  SOURCE_NOT_READY: {
    meaning: 'Several things keep the source from being captured.',
    remedy: 'Mend each of them as shown with it; nothing was created.',
    exit: 3,
    directive: 'stop',
  },
  SOURCE_TABLE_UNKNOWN: {
    meaning: 'A configured table does not exist.',
    remedy: 'Correct `source.tables`; the tables that exist are listed.',
    exit: 2,
    directive: 'stop',
  },
  SOURCE_IDENTITY: {
    meaning: 'Updates and deletes of a table cannot be captured.',
    remedy: 'Run the SQL shown.',
    exit: 3,
    directive: 'stop',
  },
  SOURCE_TLS: {
    meaning: 'The encrypted connection to the source could not be made.',
    remedy: 'Check sslmode and sslrootcert; the reason is shown.',
    exit: 3,
    directive: 'stop',
  },
  SOURCE_VERSION: {
    meaning: 'The source is too old.',
    remedy: 'Upgrade the server to a version that is supported.',
    exit: 3,
    directive: 'stop',
  },
  POSITION_INVALID: {
    meaning: 'The stored position does not belong to this source.',
    remedy: 'Give the pipeline a name of its own, or take a new snapshot with `--resnapshot`.',
    exit: 2,
    directive: 'stop',
  },
  POSITION_AHEAD: {
    meaning:
      'The source lacks changes that were already published: it was promoted or restored without them.',
    remedy: 'Take a new snapshot with `millrace run --resnapshot`.',
    exit: 1,
    directive: 'stop',
  },
  PUBLICATION_LOST: {
    meaning: 'The publication is gone: changes made since cannot be decoded.',
    remedy: 'Take a new snapshot with `millrace run --resnapshot`.',
    exit: 1,
    directive: 'stop',
  },
  SOURCE_FORMAT: {
    meaning: 'A column appeared whose values must come in another form than the stream has.',
    remedy: 'Nothing: the stream is opened again in text form.',
    exit: 1,
    directive: 'retry',
  },
  SOURCE_TABLE_CHANGED: {
    meaning: 'A table was changed so that its earlier changes can no longer be read rightly.',
    remedy: 'Take a new snapshot with `millrace run --resnapshot`.',
    exit: 1,
    directive: 'stop',
  },
  SLOT_FOREIGN: {
    meaning: 'The replication slot belongs to another program or another database.',
    remedy: 'Give this pipeline a slot of its own with `source.slot`.',
    exit: 2,
    directive: 'stop',
  },
  SLOT_IN_USE: {
    meaning: 'Another process reads the replication slot.',
    remedy: 'Stop it, or give this pipeline a slot of its own.',
    exit: 3,
    directive: 'retry',
  },
  SLOT_LOST: {
    meaning: 'The replication slot is gone or was invalidated: changes are missing from it.',
    remedy: 'Take a new snapshot with `millrace run --resnapshot`.',
    exit: 1,
    directive: 'stop',
  },
  SLOT_AT_RISK: {
    meaning: 'The server keeps more WAL for the replication slot than allowed.',
    remedy:
      'Find what keeps the pipeline from reading as fast as the source writes; then start it again, with a higher `slotWarnBytes` or `slotPolicy: warn` until it has caught up.',
    exit: 1,
    directive: 'stop',
  },
  SNAPSHOT_REFUSED: {
    meaning: 'A table cannot be copied as asked.',
    remedy:
      'See `millrace status` for the copies that are under way, and `millrace plan` for the tables.',
    exit: 2,
    directive: 'stop',
  },
  SLOTS_EXHAUSTED: {
    meaning: 'The server has no free replication slot or WAL sender.',
    remedy: 'Drop one that is not needed, or raise max_replication_slots and max_wal_senders.',
    exit: 3,
    directive: 'stop',
  },
  SOURCE_CONDITION: {
    meaning: 'A condition on rows, of `filters` or `--where`, fails on a row.',
    remedy:
      'Write it so that it holds or not for every row: compare text as text, guard what may fail with CASE.',
    exit: 2,
    directive: 'stop',
  },
  VALUE_UNSUPPORTED: {
    meaning: 'A value cannot be carried exactly by the type its column has on the topic.',
    remedy: 'Exclude the column with `source.columns`, or change its type in the source.',
    exit: 1,
    directive: 'park',
  },
  PROTOCOL_UNEXPECTED: {
    meaning: 'The server sent something that its protocol does not allow there.',
    remedy: 'Report it with the server version; the place is shown.',
    exit: 1,
    directive: 'stop',
  },
  // Processor
  STATE_UNUSABLE: {
    meaning: 'The directory for disposable state cannot be written or read. Nothing was lost.',
    remedy: 'Free space or correct its permissions; it holds nothing that must be kept.',
    exit: 3,
    directive: 'stop',
  },
  // Sink
  SINK_IN_USE: {
    meaning: 'Another process, or another sink of this one, has the DuckDB file open.',
    remedy: 'Close it; use `millrace query` to read while the pipeline runs.',
    exit: 3,
    directive: 'stop',
  },
  SINK_FENCED: {
    meaning: 'Another worker has taken over a partition of this sink.',
    remedy: 'Nothing: this worker starts again from the ledger.',
    exit: 1,
    directive: 'retry',
  },
  SINK_FULL: {
    meaning: 'The disk of the sink is full. Nothing was lost.',
    remedy: 'Free space, then start again.',
    exit: 3,
    directive: 'stop',
  },
  SINK_TABLE_CONFLICT: {
    meaning: 'A table of the sink cannot hold what the topic has.',
    remedy: 'Rename or drop the table or column shown, or choose another target.',
    exit: 1,
    directive: 'park',
  },
  SINK_CHANGE_REFUSED: {
    meaning:
      'The columns of a table changed in the source, and its policy in the sink refuses that.',
    remedy: 'Allow the change in the configuration or make it in the sink, then resume the table.',
    exit: 1,
    directive: 'park',
  },
  SINK_CHANGE_STOPPED: {
    meaning: 'The columns of a table changed in the source, and its policy is to stop then.',
    remedy: 'Set another `evolution` for the table, then start again.',
    exit: 1,
    directive: 'stop',
  },
  REBUILD_REFUSED: {
    meaning: 'A table cannot be rebuilt as asked. It is as it was.',
    remedy: 'Rebuild it from its `.changes` topic: `millrace tables rebuild <table>`.',
    exit: 2,
    directive: 'stop',
  },
  SINK_GAP: {
    meaning: 'The topic no longer holds the offset that the sink needs next.',
    remedy:
      'Rebuild the table from its `.latest` topic: `millrace tables rebuild <table> --from latest`.',
    exit: 1,
    directive: 'stop',
  },
  SINK_UNREADABLE: {
    meaning: 'The sink could not be opened.',
    remedy: 'Check the path and its permissions.',
    exit: 3,
    directive: 'stop',
  },
  // Running
  QUERY_FAILED: {
    meaning: 'The query was refused.',
    remedy: 'Correct the SQL; only reading is allowed.',
    exit: 1,
    directive: 'stop',
  },
  NOT_RUNNING: {
    meaning: 'No pipeline answers for this configuration.',
    remedy: 'Start it with `millrace run`.',
    exit: 1,
    directive: 'stop',
  },
  PIPELINE_ENDED: {
    meaning: 'The process that runs the pipeline has ended by itself.',
    remedy: 'Its log says why.',
    exit: 1,
    directive: 'stop',
  },
  PORT_IN_USE: {
    meaning: 'The HTTP port is taken.',
    remedy: 'Set `http.port` to a free one, or to 0 for any.',
    exit: 3,
    directive: 'stop',
  },
  DRAIN_TIMEOUT: {
    meaning: 'The pipeline did not stop in time. Nothing was lost; the next start goes on.',
    remedy: 'Raise `drainTimeout` if batches take longer than that.',
    exit: 1,
    directive: 'stop',
  },
  CONTENT_DIFFERS: {
    meaning: 'Source and sink do not hold the same rows.',
    remedy: 'The table and the first key that differs are shown.',
    exit: 1,
    directive: 'stop',
  },
  ENVIRONMENT: {
    meaning: 'This machine cannot run the command.',
    remedy: 'The message says what is missing.',
    exit: 3,
    directive: 'stop',
  },
} as const satisfies Record<string, Code>;

export type ErrorCode = keyof typeof codes;

export interface ErrorDetails {
  /** Where: file and line, table, topic and offset. Never row values. */
  readonly place?: string;
  /** What was expected there. */
  readonly expected?: string;
  /** Replaces the remedy of the table where a better one is known, such as the SQL to run. */
  readonly remedy?: string;
  readonly cause?: unknown;
}

export class MillraceError extends Error {
  override readonly name = 'MillraceError';
  readonly code: ErrorCode;
  readonly place: string | undefined;
  readonly expected: string | undefined;
  readonly remedy: string;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.place = details.place;
    this.expected = details.expected;
    this.remedy = details.remedy ?? codes[code].remedy;
  }
}

/** What a stage does about an error. The retry list is the table's; unknown means stop. */
export function directive(error: unknown): Directive {
  return error instanceof MillraceError ? codes[error.code].directive : 'stop';
}

/**
 * Whether an error concerns one table of a sink, so that the others can go on (I4, I7). A poison record
 * parks its whole table: what comes after it may depend on it.
 */
export function parksTable(error: unknown): error is MillraceError {
  return ['park', 'dead-letter'].includes(directive(error));
}

export function exitCode(error: unknown): number {
  return error instanceof MillraceError ? codes[error.code].exit : 1;
}

/** The error that came first, where closing what was open has failed as well. */
export function firstOf(error: unknown): unknown {
  return error instanceof SuppressedError ? firstOf(error.suppressed) : error;
}
