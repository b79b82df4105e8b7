import { expect } from 'vitest';
import { postgresConnector } from '../../connectors/postgres/connector.ts';
import type { PostgresOptions } from '../../connectors/postgres/options.ts';
import type { ChangeBatch, Connector, CopyProgress } from '../../connectors/connector.ts';
import type { Capture, CapturedChange } from './capture.ts';
import type { TestDatabase } from './postgres.ts';

export interface Copying extends AsyncDisposable {
  readonly connector: Connector;
  readonly capture: Capture;
  copies(): readonly CopyProgress[];
  state(table: string): string | undefined;
}

/** A connector that streams and can be told to copy. */
export function copying(
  options: PostgresOptions,
  capture: Capture,
  published: (batch: ChangeBatch) => Promise<void> = () => Promise.resolve(),
): Copying {
  let copies: readonly CopyProgress[] = [];
  const connector = postgresConnector({ ...options, onCopies: (now) => (copies = now) });
  const stop = new AbortController();
  const running = capture.run(connector, {
    after: capture.last,
    signal: stop.signal,
    done: () => false,
    published,
  });
  return {
    connector,
    capture,
    copies: () => copies,
    state: (table) => copies.findLast((copy) => copy.table === table)?.state,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await running;
    },
  };
}

export const soon = { timeout: 15_000 };
/** Rows of `items` that came as such. */
export const reads = ({ changes }: Capture): CapturedChange[] =>
  changes.filter(({ op, topic }) => op === 'r' && topic.endsWith('items'));

/** Starts a copy as soon as the stream is open. */
export async function start(of: Copying, table: string, where?: string): Promise<void> {
  const request = { action: 'start', table, ...(where === undefined ? {} : { where }) } as const;
  await expect
    .poll(
      () =>
        of.connector.copy?.(request, AbortSignal.timeout(5_000)).then(
          () => 'started',
          (error: unknown) => {
            const said = String(error);
            if (!said.includes('not open')) throw error;
            return said;
          },
        ),
      soon,
    )
    .toBe('started');
}

/** The table `items` as `Capture.table` has it. */
export async function contents(database: TestDatabase): Promise<Map<string, string>> {
  const rows = await database.query('SELECT * FROM items');
  return new Map(rows.map((row) => [JSON.stringify({ id: row['id'] }), JSON.stringify(row)]));
}
