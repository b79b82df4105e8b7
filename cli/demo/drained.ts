import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { Status } from '../../runtime/status.ts';
import type { PipelineProcess } from './pipeline-process.ts';

const POLL_MS = 100;

/** What it takes to know that a change committed just now has gone all the way. */
export interface DrainOptions {
  readonly client: Client;
  readonly pipeline: PipelineProcess;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly watch: (status: Status | null) => void;
}

/**
 * Waits until everything committed before the call is in the sink. False if that takes longer than
 * `timeoutMs`.
 *
 * A row is committed and awaited in the sink. It may have come with a snapshot whose other tables are
 * still to come; so once no snapshot goes on, a second one is awaited, which can only come by the
 * stream, after all of it. When no stage has records left to do then, all is done.
 */
export async function drained(options: DrainOptions): Promise<boolean> {
  const until = performance.now() + options.timeoutMs;
  const first = await commitMark(options.client);
  let second: string | null = null;
  while (performance.now() < until) {
    const seen = await options.pipeline.has(markQuery(second ?? first), options.signal);
    const status = await options.pipeline.status(options.signal);
    options.watch(status);
    if (seen && status !== null && !isCopying(status)) {
      if (second === null) second = await commitMark(options.client);
      else if (nothingLeft(status)) return true;
    }
    await sleep(POLL_MS, undefined, { signal: options.signal });
  }
  return false;
}

/** A page view like any other, known by its session. */
async function commitMark(client: Client): Promise<string> {
  const { rows } = await client.query<{ session: string }>(
    `INSERT INTO page_views (session, path) VALUES (gen_random_uuid(), '/') RETURNING session`,
  );
  return rows[0]?.session ?? '';
}

const markQuery = (session: string): string =>
  `SELECT 1 FROM public.page_views WHERE session = '${session}'`;

function isCopying({ snapshot }: Status): boolean {
  return snapshot?.tables.some(({ done }) => !done) ?? false;
}

function nothingLeft({ stages }: Status): boolean {
  return stages.every(({ behindRecords, state }) => state === 'running' && !(behindRecords ?? 0));
}
