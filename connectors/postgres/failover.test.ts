import { Client } from 'pg';
import { describe, expect, test, vi } from 'vitest';
import type { Capture } from '../../tests/support/capture.ts';
import { failure, hurried, snapshotTaken, streaming } from '../../tests/support/postgres-items.ts';
import {
  hasPostgres,
  startPostgres,
  type PostgresVersion,
  type TestPostgres,
} from '../../tests/support/postgres.ts';
import { startProxy, type Proxy } from '../../tests/support/proxy.ts';
import type { PostgresOptions } from './options.ts';
import { leavingPoint } from './timeline.ts';

// Two servers each, on a machine that may be busy.
vi.setConfig({ testTimeout: 180_000 });
const soon = { timeout: 60_000 };

async function asked(server: TestPostgres, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: server.url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end().catch(() => {});
  }
}

const rows = (server: TestPostgres, from: number, to: number): Promise<unknown> =>
  asked(server, `INSERT INTO items SELECT g, 'name ' || g FROM generate_series(${from}, ${to}) g`);

const ids = ({ changes }: Capture): number[] =>
  changes.map(({ after }) => Number(after?.['id'])).sort((a, b) => a - b);

const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);

interface Pair extends AsyncDisposable {
  readonly primary: TestPostgres;
  readonly standby: TestPostgres;
  readonly proxy: Proxy;
  readonly options: PostgresOptions;
  /** The standby takes the primary's place in the network. */
  swap(): void;
}

/** A primary with a table, its standby, and a pipeline's options that reach whichever is in place. */
async function pair(
  version: PostgresVersion,
  how: { readonly failover: boolean; readonly guarded?: boolean },
): Promise<Pair> {
  await using stack = new AsyncDisposableStack();
  const primary = stack.use(
    await startPostgres({
      version,
      settings: how.guarded === true ? { synchronized_standby_slots: 'standby' } : {},
    }),
  );
  await asked(primary, `SELECT pg_create_physical_replication_slot('standby', true)`);
  await asked(primary, 'CREATE TABLE items (id int PRIMARY KEY, name text)');
  await rows(primary, 1, 10);
  const standby = stack.use(
    await startPostgres({
      version,
      standbyOf: primary,
      settings: {
        primary_slot_name: 'standby',
        hot_standby_feedback: 'on',
        wal_retrieve_retry_interval: '100ms',
        wal_receiver_status_interval: '100ms',
        ...(how.failover ? { sync_replication_slots: 'on' } : {}),
      },
    }),
  );
  const to = { port: primary.port };
  const proxy = stack.use(await startProxy(to));
  const url = primary.url.replace(/:\d+\//, `:${proxy.port}/`);
  const held = stack.move();
  return {
    primary,
    standby,
    proxy,
    options: hurried({ url: `${url}?sslmode=disable` }, { slotFailover: how.failover }),
    swap: () => {
      to.port = standby.port;
      proxy.cut();
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/**
 * Whether the standby has a slot that would outlive a promotion. By themselves the primary says every 15
 * seconds which transactions run, without which a slot does not move, and the standby looks for slots
 * less and less often: both are hurried.
 */
async function synchronised({ primary, standby }: Pair): Promise<boolean> {
  await asked(primary, 'SELECT pg_log_standby_snapshot()');
  await asked(standby, 'SELECT pg_reload_conf()');
  const slots = await asked(
    standby,
    `SELECT 1 FROM pg_replication_slots WHERE slot_name = 'millrace_hurried' AND synced AND NOT temporary`,
  );
  return slots.length === 1;
}

describe.each([17, 18] as const)('with a failover slot, on PostgreSQL %i', (version) => {
  test.skipIf(!hasPostgres(version))(
    'the stream follows to a standby that is promoted, and loses and doubles nothing',
    async () => {
      await using of = await pair(version, { failover: true, guarded: true });
      const lost: string[] = [];
      const options = { ...of.options, onLost: ({ code }: { code: string }) => lost.push(code) };
      const capture = await snapshotTaken(options);
      await using _ = streaming(options, capture);
      let last = 10;
      const more = async (server: TestPostgres): Promise<void> => {
        await rows(server, last + 1, last + 5);
        last += 5;
      };
      await expect
        .poll(async () => {
          await more(of.primary);
          return synchronised(of);
        }, soon)
        .toBe(true);
      await expect.poll(() => capture.changes.length, soon).toBe(last);
      // Committed and perhaps not published when the server dies.
      await more(of.primary);
      await of.primary.stop('immediate');
      of.swap();
      await expect.poll(() => lost, soon).toContain('SOURCE_STANDBY');
      await asked(of.standby, 'SELECT pg_promote()');
      const [kept] = await asked(of.standby, 'SELECT max(id)::int AS last FROM items');
      last = Number(kept?.['last']);
      await more(of.standby);
      await expect.poll(() => ids(capture), soon).toEqual(upTo(last));
      expect(capture.positions).toEqual(capture.positions.toSorted());
      expect(capture.last).toContain('@00000002');
    },
  );

  test.skipIf(!hasPostgres(version))(
    'a standby that was promoted without what was published is refused, also when it has written more since',
    async () => {
      await using of = await pair(version, { failover: true });
      const capture = await snapshotTaken(of.options);
      {
        await using _ = streaming(of.options, capture);
        let last = 10;
        await expect
          .poll(async () => {
            await rows(of.primary, last + 1, last + 5);
            last += 5;
            return synchronised(of);
          }, soon)
          .toBe(true);
        await of.standby.stop();
        await rows(of.primary, last + 1, last + 20);
        last += 20;
        await expect.poll(() => capture.changes.length, soon).toBe(last);
      }
      await of.primary.stop('immediate');
      await of.standby.start();
      await asked(of.standby, 'SELECT pg_promote()');
      of.swap();
      const refused = { code: 'POSITION_AHEAD' };
      expect(await failure(of.options, capture.last)).toMatchObject(refused);
      await asked(of.standby, 'SELECT pg_switch_wal()');
      await rows(of.standby, 100_001, 100_010);
      expect(await failure(of.options, capture.last)).toMatchObject(refused);
      const anew = await snapshotTaken(of.options);
      const [known] = await asked(of.standby, 'SELECT count(*)::int AS n FROM items');
      expect(anew.changes.length).toBe(Number(known?.['n']));
      const newest = capture.changes.reduce((max, { version: v }) => (v > max ? v : max), 0n);
      expect(anew.changes.every(({ version: v }) => v > newest)).toBe(true);
    },
  );
});

describe.each([14, 16] as const)('without failover slots, on PostgreSQL %i', (version) => {
  test.skipIf(!hasPostgres(version))(
    'a standby that is promoted has no slot: SLOT_LOST, and a new snapshot goes on there',
    async () => {
      await using of = await pair(version, { failover: false });
      const capture = await snapshotTaken(of.options);
      await of.primary.stop('immediate');
      await asked(of.standby, 'SELECT pg_promote()');
      of.swap();
      expect(await failure(of.options, capture.last)).toMatchObject({ code: 'SLOT_LOST' });
      const anew = await snapshotTaken(of.options);
      expect(ids(anew)).toEqual(upTo(10));
      expect(anew.last).toContain('@00000002');
    },
  );
});

test('a history says where each timeline was left', () => {
  const history = '1\t0/A000198\tno recovery target specified\n\n2\t1/B0\tbefore 2000-01-01\n';
  expect(leavingPoint(history, 1)).toBe(0xa000198n);
  expect(leavingPoint(history, 2)).toBe(0x1_0000_00b0n);
  expect(leavingPoint(history, 3)).toBeNull();
});
