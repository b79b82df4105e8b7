import type { Broker } from '../broker/broker.ts';
import type { SinkConfig } from '../config.ts';
import type { CopyProgress, Connector, SourceHealth } from '../connectors/connector.ts';
import type { MillraceError } from '../errors.ts';
import type { Processor } from '../processors/processor.ts';
import type { TableShape } from '../schemas/envelope.ts';
import type { SchemaRegistry } from '../schemas/registry.ts';
import type { PendingChange } from '../sinks/evolution.ts';
import type { Sink, TableHeld } from '../sinks/sink.ts';
import type { TargetOptions } from '../sinks/target.ts';

/** How far a snapshot is. */
export interface SnapshotProgress {
  readonly rows: number;
  /** By the statistics of the source, and never below `rows`. */
  readonly rowsEstimated: number;
  readonly rowsPerSecond: number;
  /** Null while the rate is not known. */
  readonly remainingSeconds: number | null;
  readonly tables: readonly {
    readonly table: string;
    readonly rows: number;
    readonly rowsEstimated: number;
    readonly done: boolean;
  }[];
}

/** Told by a connector how it is doing. */
export interface SourceObserver {
  readonly onProgress: (progress: SnapshotProgress) => void;
  /** The connection was lost and will be opened again; it is open again. */
  readonly onLost: (error: MillraceError) => void;
  readonly onConnected: () => void;
  readonly onHealth: (health: SourceHealth) => void;
  readonly onCopies: (copies: readonly CopyProgress[]) => void;
}

export interface QueryOptions {
  /** Rows returned at most. */
  readonly rowsMax?: number;
  readonly signal?: AbortSignal;
}

export interface QueryResult {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Values as JSON has them; what JSON cannot hold exactly comes as text. */
  readonly rows: readonly (readonly unknown[])[];
  /** There are more rows than `rowsMax`. */
  readonly truncated: boolean;
}

/** A sink that can be asked while it is being written. */
export type QueryableSink = Sink & {
  query?(sql: string, options?: QueryOptions): Promise<QueryResult>;
  /** What the next rows of a table will do to its columns; null if the sink has no such table. */
  pending?(options: TargetOptions, shape: TableShape): Promise<PendingChange | null>;
  /** What it holds of each topic that it has opened. */
  held?(): Promise<readonly TableHeld[]>;
};

/**
 * Makes the parts of a configured pipeline. Each is opened again after a failure, so every call gives
 * a new one. Implemented by the one table of kinds; the runtime knows ports only.
 */
export interface Components {
  openBroker(): Promise<{ broker: Broker; registry: SchemaRegistry } & AsyncDisposable>;
  openConnector(
    registry: SchemaRegistry,
    observer?: SourceObserver,
    /** Tables that no earlier run has captured. */
    newTables?: readonly string[],
  ): Promise<Connector>;
  openProcessor(registry: SchemaRegistry): Promise<Processor>;
  openSink(sink: SinkConfig, registry: SchemaRegistry): Promise<QueryableSink>;
}
