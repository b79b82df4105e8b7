import type { Outgoing } from '../broker/broker.ts';
import type { TableShape } from '../schemas/envelope.ts';

declare const brand: unique symbol;

/**
 * A place in the source's history: one line of text whose order is the order of the history, so that
 * it can be a key, a cursor and a comparison at once. What is in it is the connector's own business.
 */
export type Position = string & { readonly [brand]: 'Position' };

export function position(text: string): Position {
  return text as Position;
}

/** Records for raw topics, and the position that the source has reached with the last of them. */
export interface ChangeBatch {
  /** Packed records by topic and partition; valid until the next batch is asked for. */
  readonly outgoing: readonly Outgoing[];
  readonly position: Position;
  /** Changes in `outgoing`, and the newest commit time among them (ms), for rates and lag. */
  readonly changes: number;
  readonly committedAt: number | null;
}

/** A table that the connector captures, as `plan` shows it and as its topics are created. */
export interface CapturedTable {
  /** Name in the source, such as `public.orders`. */
  readonly table: string;
  readonly shape: TableShape;
  /** What a user should know: a column that travels as text, updates without old values. */
  readonly notes: readonly string[];
}

/** What the source keeps for this pipeline, as it was last seen. */
export interface SourceHealth {
  /** Bytes of history that the source keeps because we have not acknowledged what follows them. */
  readonly retainedBytes: number;
  /** Bytes that it may write before it could give us up; null if it has no such limit. */
  readonly safeBytes: number | null;
  /** In the source's own word: Postgres' `wal_status`. */
  readonly state: string;
  /** More is kept than the configured bound, or the source says itself that it may forget. */
  readonly atRisk: boolean;
}

/** A table that is copied, again or for the first time, while its changes are streamed. */
export interface CopyProgress {
  readonly table: string;
  /** Condition of the rows wanted; null for all. */
  readonly where: string | null;
  /** `waiting`: for transactions that are older than what is to be read next. */
  readonly state: 'waiting' | 'copying' | 'paused' | 'failed' | 'done' | 'cancelled';
  readonly rows: number;
  /** By the statistics of the source; all rows of the table, whatever the condition. */
  readonly rowsEstimated: number;
  /** Why it failed. */
  readonly failure: string | null;
}

export interface CopyRequest {
  readonly action: 'start' | 'pause' | 'resume' | 'cancel';
  /** As `plan` names it. */
  readonly table: string;
  /** Only with `start`. */
  readonly where?: string;
}

/**
 * Captures the changes of a source.
 *
 * Order: changes of one key come in the order of their versions. Completeness: from the position given
 * on, every change comes at least once, and exactly once if what was published up to `position` is
 * published together with it. Durability: the connector tells the source nothing before `ack`.
 */
export interface Connector extends AsyncDisposable {
  /**
   * Looks at the source, checks what capturing needs, and says what it will capture. Creates nothing.
   * Throws `SOURCE_…` with what mends it, all problems at once. `beside`: the pipeline runs in another
   * process, which holds what only one may hold.
   */
  plan(signal: AbortSignal, how?: { readonly beside: boolean }): Promise<readonly CapturedTable[]>;

  /**
   * All changes after a position, for ever; null begins with a consistent snapshot. Asking for the
   * next batch means that the last one has been published. Ends when the signal aborts; throws when
   * it cannot go on.
   */
  changes(after: Position | null, signal: AbortSignal): AsyncIterable<ChangeBatch>;

  /**
   * Copies a table again while its changes go on, or pauses, resumes or cancels that. Resolves when the
   * request is part of a published position: from then on a restart goes on with it. Absent if the
   * source cannot. Throws `SNAPSHOT_REFUSED`.
   */
  copy?(request: CopyRequest, signal: AbortSignal): Promise<void>;

  /** Everything up to here is durable on the topics (I1): the source may forget it. */
  ack(position: Position): Promise<void>;
}
