import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../../errors.ts';
import type { SourceHealth } from '../connector.ts';
import { Connection } from './connection.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import type { ResolvedOptions } from './options.ts';

/** The prefix of our own logical messages. */
export const HEARTBEAT_PREFIX = 'millrace';

interface Look {
  retained: number | null;
  safe: number | null;
  status: string | null;
  recovering: boolean;
}

/**
 * What goes on beside a stream, on a connection of its own: the heartbeat that lets the slot move on
 * while only others write, and a look at what the server keeps for the slot. Trouble here never
 * touches the stream, but for a slot at risk under the policy `stop`.
 */
export class SlotMonitor implements AsyncDisposable {
  readonly #settings: ConnectionSettings;
  readonly #options: ResolvedOptions;
  readonly #stop = new AbortController();
  readonly #watching: Promise<void>;
  readonly #failed: (error: MillraceError) => void;
  #connection: Connection | null = null;
  #recovering = false;
  #atRisk = false;
  #mayBeat = true;

  constructor(
    settings: ConnectionSettings,
    options: ResolvedOptions,
    failed: (error: MillraceError) => void,
  ) {
    this.#settings = settings;
    this.#options = options;
    this.#failed = failed;
    this.#watching = this.#watch();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#watching;
    this.#connection?.destroy();
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stop;
    const { heartbeatIntervalMs, slotLookIntervalMs } = this.#options;
    let beatAt = performance.now();
    let lookAt = beatAt;
    while (!signal.aborted) {
      const now = performance.now();
      if (now >= lookAt) {
        await this.#tried(() => this.#look());
        lookAt = now + slotLookIntervalMs;
      }
      if (heartbeatIntervalMs > 0 && now >= beatAt) {
        await this.#tried(() => this.#beat());
        beatAt = now + heartbeatIntervalMs;
      }
      const next = heartbeatIntervalMs > 0 ? Math.min(lookAt, beatAt) : lookAt;
      await sleep(Math.max(1, next - performance.now()), undefined, { signal }).catch(() => {});
    }
  }

  /** The stream finds out by itself that the server is gone: here the next turn tries again. */
  async #tried(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#connection?.destroy();
      this.#connection = null;
      if (this.#stop.signal.aborted) return;
      const message = error instanceof Error ? error.message : String(error);
      this.#options.log.debug({ message }, 'the slot could not be looked at');
    }
  }

  async #open(): Promise<Connection> {
    return (this.#connection ??= await Connection.open(this.#settings, this.#stop.signal));
  }

  /** Needs no privilege on any table. A standby cannot write one; there its primary's do. */
  async #beat(): Promise<void> {
    if (this.#recovering || !this.#mayBeat) return;
    const connection = await this.#open();
    try {
      await connection.rows(`SELECT pg_logical_emit_message(false, $1, '')`, [HEARTBEAT_PREFIX]);
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'SOURCE_PRIVILEGE') throw error;
      this.#mayBeat = false;
      this.#options.log.warn('may not execute pg_logical_emit_message: there are no heartbeats');
    }
  }

  async #look(): Promise<void> {
    const connection = await this.#open();
    const [found] = await connection.rows<Look>(
      `SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END
           - restart_lsn)::float8 AS retained,
         safe_wal_size::float8 AS safe, wal_status AS status, pg_is_in_recovery() AS recovering
       FROM pg_replication_slots WHERE slot_name = $1`,
      [this.#options.slot],
    );
    if (found === undefined) return;
    this.#recovering = found.recovering;
    const { slotWarnBytes } = this.#options;
    const retainedBytes = Math.max(0, found.retained ?? 0);
    const state = found.status ?? 'lost';
    const tooMuch = slotWarnBytes > 0 && retainedBytes >= slotWarnBytes;
    const atRisk = tooMuch || state === 'unreserved' || state === 'lost';
    const health: SourceHealth = { retainedBytes, safeBytes: found.safe, state, atRisk };
    this.#options.onHealth?.(health);
    this.#judge(health);
  }

  /** Said once each time it becomes true. */
  #judge({ retainedBytes, safeBytes, state, atRisk }: SourceHealth): void {
    const { slot, slotPolicy, slotWarnBytes, log } = this.#options;
    const begins = atRisk && !this.#atRisk;
    this.#atRisk = atRisk;
    if (!begins) return;
    const message = `The server keeps ${Math.round(retainedBytes / 1024 ** 2)} MiB of WAL for the slot ${slot}.`;
    if (slotPolicy === 'stop') {
      this.#failed(
        new MillraceError('SLOT_AT_RISK', message, {
          place: `wal_status ${state}`,
          expected: `less than ${Math.round(slotWarnBytes / 1024 ** 2)} MiB`,
        }),
      );
    } else log.warn({ code: 'SLOT_AT_RISK', slot, retainedBytes, safeBytes, state }, message);
  }
}
