import type { MillraceError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { SchemaRegistry } from '../../schemas/registry.ts';
import type { CopyProgress, SourceHealth } from '../connector.ts';
import type { NameAdjustment } from '../../schemas/avro.ts';
import type { RuleBook } from './column-rules.ts';
import type { SnapshotProgress } from './snapshot-progress.ts';
import {
  DEFAULT_MODES,
  type BinaryMode,
  type DecimalMode,
  type HstoreMode,
  type IntervalMode,
  type TimeMode,
  type TypeModes,
} from './types/modes.ts';

/** What a user may set. Everything but `tables`, `prefix` and the place of the server has a default. */
export interface PostgresOptions extends RuleBook {
  /** Name of the pipeline: the default slot and publication are `millrace_<pipeline>`. */
  readonly pipeline: string;
  /** `postgres://user:password@host:port/database?sslmode=…`; the fields below go over it. */
  readonly url?: string;
  readonly host?: string;
  readonly port?: number;
  readonly user?: string;
  readonly password?: string;
  readonly database?: string;
  readonly sslmode?: SslMode;
  /** PG* variables, for what neither the URL nor the fields say. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** `schema.table`; `*` stands for any characters in either part. */
  readonly tables: readonly string[];
  /** Which rows are captured, by `schema.table`: SQL conditions, kept by the server (15 and newer). */
  readonly filters?: Readonly<Record<string, string>>;
  readonly slot?: string;
  readonly publication?: string;
  /** First part of every topic name. */
  readonly prefix: string;
  /** Partitions of each raw topic. */
  readonly partitions: number;
  /** A null value after each delete, as Debezium does. Default true. */
  readonly tombstones?: boolean;
  /** How values travel, where there is a choice. Defaults: Debezium's. */
  readonly decimalHandling?: DecimalMode;
  readonly timePrecision?: TimeMode;
  readonly intervalHandling?: IntervalMode;
  readonly hstoreHandling?: HstoreMode;
  readonly binaryHandling?: BinaryMode;
  /** How names become names in schemas. Default `avro`: Avro allows no others. */
  readonly nameAdjustment?: NameAdjustment;
  /** Which logical messages are captured, by their prefix; `*` stands for any characters. Default all. */
  readonly messagePrefixInclude?: readonly string[];
  /** Which of these are not; `*` for none at all. Default none of them. */
  readonly messagePrefixExclude?: readonly string[];
  /** Tells which transaction each change belongs to, and when transactions begin and end. Default false. */
  readonly provideTransactionMetadata?: boolean;
  /** Tells on the topic `<prefix>` how tables are defined, at first and when that has changed. Default false. */
  readonly includeSchemaChanges?: boolean;
  /** Version of Millrace, for the `source` block. */
  readonly version: string;
  /** A batch is delivered when it holds this much, or less when it is asked for earlier. Default 8 MiB. */
  readonly batchBytesMax?: number;
  /** The same in changes. Default 100,000. */
  readonly batchRowsMax?: number;
  /** Rows that a restart in the middle of the snapshot may read again. Default 100,000. */
  readonly snapshotRowsPerRange?: number;
  /** Connections that the snapshot reads over at once; they share what a batch may hold. Default 1. */
  readonly snapshotConcurrency?: number;
  /** How often the server is told how far we are. Default 1,000. */
  readonly statusIntervalMs?: number;
  /** How often a position is published while nothing of ours happens. Default 5,000. */
  readonly idlePositionIntervalMs?: number;
  /** First and longest wait before a lost connection is opened again. Defaults 100 and 30,000. */
  readonly reconnectMs?: number;
  readonly reconnectMsMax?: number;
  readonly connectTimeoutMs?: number;
  /** A server that says nothing for so long, though asked, counts as lost. Default 60,000. */
  readonly silenceMsMax?: number;
  /** How often a logical message is written, so that the slot moves on while only others write. Default 10,000; 0 for never. */
  readonly heartbeatIntervalMs?: number;
  /** How often the slot is looked at. Default 10,000. */
  readonly slotLookIntervalMs?: number;
  /** WAL kept for the slot from which it counts as at risk. Default 4 GiB; 0 for never. */
  readonly slotWarnBytes?: number;
  /** Makes the slot one that standbys synchronise, from PostgreSQL 17 on. Default false. */
  readonly slotFailover?: boolean;
  /** What a slot at risk does: `warn` in the log, `stop` the pipeline. Default `warn`. */
  readonly slotPolicy?: SlotPolicy;
  /** Tables that no earlier run has captured: those with rows are copied. */
  readonly newTables?: readonly string[];
  /** The connection was lost and will be opened again; it is open again. */
  readonly onLost?: (error: MillraceError) => void;
  readonly onConnected?: () => void;
  readonly onHealth?: (health: SourceHealth) => void;
  readonly onCopies?: (copies: readonly CopyProgress[]) => void;
  readonly onProgress?: (progress: SnapshotProgress) => void;
  readonly registry: SchemaRegistry;
  readonly log: Log;
}

export type SslMode = 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

export type SlotPolicy = 'warn' | 'stop';

const defaults = {
  tombstones: true,
  messagePrefixInclude: ['*'] as readonly string[],
  messagePrefixExclude: [] as readonly string[],
  provideTransactionMetadata: false,
  includeSchemaChanges: false,
  batchBytesMax: 8 * 1024 * 1024,
  batchRowsMax: 100_000,
  snapshotRowsPerRange: 100_000,
  snapshotConcurrency: 1,
  statusIntervalMs: 1_000,
  idlePositionIntervalMs: 5_000,
  heartbeatIntervalMs: 10_000,
  slotLookIntervalMs: 10_000,
  slotWarnBytes: 4 * 1024 ** 3,
  slotPolicy: 'warn' as SlotPolicy,
  slotFailover: false,
  reconnectMs: 100,
  reconnectMsMax: 30_000,
  connectTimeoutMs: 10_000,
  silenceMsMax: 60_000,
};

export type ResolvedOptions = PostgresOptions &
  Required<Pick<PostgresOptions, keyof typeof defaults | 'slot' | 'publication'>> & {
    readonly modes: TypeModes;
    readonly names: NameAdjustment;
  };

export function resolveOptions(options: PostgresOptions): ResolvedOptions {
  // A slot name may hold a-z, 0-9 and _ only, at most 63 of them (PostgreSQL, "Replication Slots").
  const own = `millrace_${options.pipeline.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_')}`.slice(
    0,
    63,
  );
  const given = Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as unknown as PostgresOptions;
  const modes = typeModes(given);
  const names = given.nameAdjustment ?? 'avro';
  return { ...defaults, slot: own, publication: own, ...given, modes, names };
}

type Chosen<T> = { readonly [Key in keyof T]?: T[Key] | undefined };
type HandlingOptions = Pick<
  PostgresOptions,
  'decimalHandling' | 'timePrecision' | 'intervalHandling' | 'hstoreHandling' | 'binaryHandling'
>;

/** In which form values travel; what is not said as Debezium's defaults have it. */
export function typeModes(options: Chosen<HandlingOptions>): TypeModes {
  return {
    decimal: options.decimalHandling ?? DEFAULT_MODES.decimal,
    time: options.timePrecision ?? DEFAULT_MODES.time,
    interval: options.intervalHandling ?? DEFAULT_MODES.interval,
    hstore: options.hstoreHandling ?? DEFAULT_MODES.hstore,
    binary: options.binaryHandling ?? DEFAULT_MODES.binary,
  };
}
