import { describe, expect, test } from 'vitest';
import { MillraceError } from '../errors.ts';
import type { SnapshotProgress } from '../runtime/components.ts';
import { bytes, count, seconds, span } from './figures.ts';
import { bar, ProgressDisplay } from './progress.ts';
import { reportError } from './report-error.ts';
import { type ShownStatus, statusLines } from './status-lines.ts';
import { table } from './table.ts';
import type { Terminal } from './terminal.ts';
import { redactUrl } from './validate.ts';

function capture(tty = false): Terminal & { written: { out: string; err: string } } {
  const written = { out: '', err: '' };
  return {
    written,
    out: (text) => void (written.out += text),
    err: (text) => void (written.err += text),
    outIsTTY: tty,
    errIsTTY: tty,
    columns: 80,
  };
}

test('figures are read at a glance', () => {
  expect([0, 1_234_567.6].map(count)).toEqual(['0', '1,234,568']);
  expect([0, 1023, 1024, 1.5 * 1024 ** 2, 300 * 1024 ** 3].map(bytes)).toEqual([
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 MiB',
    '300 GiB',
  ]);
  expect([null, 0.0344, 12.34].map(seconds)).toEqual(['-', '0.034 s', '12.3 s']);
  expect([0, 900, 59_400, 60_000, 61_000, 3_700_000, 90_000_000, 604_800_000].map(span)).toEqual([
    '0s',
    '1s',
    '59s',
    '1m',
    '1m 1s',
    '1h 1m',
    '1d 1h',
    '7d',
  ]);
});

test('a table is aligned, also with wide characters, and has no blanks at its ends', () => {
  const lines = table(
    [{ title: 'NAME' }, { title: 'N', align: 'right' }, { title: 'NOTE' }],
    [
      ['日本', '1', ''],
      ['a', '200', 'x'],
    ],
  );
  expect(lines).toEqual(['NAME    N  NOTE', '日本    1', 'a     200  x']);
});

describe('an error', () => {
  const error = new MillraceError('SOURCE_IDENTITY', 'updates cannot be captured', {
    place: 'public.visits',
    expected: 'a key',
    remedy: 'ALTER TABLE a;\nALTER TABLE b;',
  });

  test('is shown with its code, place, what was expected and what to do', () => {
    const terminal = capture();
    expect(reportError(error, terminal, false)).toBe(3);
    expect(terminal.written).toEqual({
      out: '',
      err: `error SOURCE_IDENTITY: updates cannot be captured
  at        public.visits
  expected  a key
  to do     ALTER TABLE a;
            ALTER TABLE b;
`,
    });
  });

  test('is data on standard output with --json', () => {
    const terminal = capture();
    expect(reportError(error, terminal, true)).toBe(3);
    expect(JSON.parse(terminal.written.out)).toEqual({
      error: {
        code: 'SOURCE_IDENTITY',
        message: 'updates cannot be captured',
        place: 'public.visits',
        expected: 'a key',
        remedy: 'ALTER TABLE a;\nALTER TABLE b;',
      },
    });
  });

  test('that nobody foresaw says so and ends with 1', () => {
    const terminal = capture();
    expect(reportError(new TypeError('boom'), terminal, false)).toBe(1);
    expect(terminal.written.err).toMatch(/^error UNEXPECTED: this is a fault of Millrace/);
    expect(terminal.written.err).toContain('TypeError: boom');
  });
});

const halfway: SnapshotProgress = {
  rows: 500_000,
  rowsEstimated: 1_000_000,
  rowsPerSecond: 250_000,
  remainingSeconds: 2,
  tables: [{ table: 'public.orders', rows: 500_000, rowsEstimated: 1_000_000, done: false }],
};
const done: SnapshotProgress = {
  ...halfway,
  rows: 1_000_000,
  remainingSeconds: 0,
  tables: [{ table: 'public.orders', rows: 1_000_000, rowsEstimated: 1_000_000, done: true }],
};

describe('a snapshot', () => {
  test('has a bar as wide as there is room for, and figures where there is none', () => {
    expect(bar(halfway, 80)).toBe(
      `snapshot  ${'█'.repeat(15)}${'░'.repeat(15)}  50 %  500,000 rows  250,000/s  ETA 2s`,
    );
    expect(bar(halfway, 200)).toContain(`${'█'.repeat(20)}${'░'.repeat(20)}  50 %`);
    expect(bar(halfway, 40).length).toBeLessThan(40);
  });

  test('of tables whose size is not known claims no share of it', () => {
    expect(bar({ ...halfway, rows: 7, rowsEstimated: 0 }, 80)).not.toContain('%');
  });

  test('ends with one line that says how much and how fast, once', () => {
    const terminal = capture();
    const display = new ProgressDisplay(terminal, () => done);
    display[Symbol.dispose]();
    display[Symbol.dispose]();
    expect(terminal.written.out).toBe('snapshot  done: 1,000,000 rows of 1 table, 250,000/s\n');
  });

  test('that is left in the middle leaves the bar on a line of its own', () => {
    const terminal = capture(true);
    new ProgressDisplay(terminal, () => halfway)[Symbol.dispose]();
    expect(terminal.written.out).toBe(`\r\u001b[K${bar(halfway, 80)}\n`);
  });

  test('that there is none of says nothing', () => {
    const terminal = capture(true);
    new ProgressDisplay(terminal, () => null)[Symbol.dispose]();
    expect(terminal.written.out).toBe('');
  });
});

test('a status shows stages, errors, lag per hop, snapshot and tables', () => {
  const status: ShownStatus = {
    pipeline: 'shop',
    running: true,
    pid: 42,
    startedAt: 0,
    stages: [
      {
        stage: 'source',
        kind: 'source',
        state: 'retrying',
        position: '0001.02',
        behindRecords: null,
        changesPerSecond: 1_200,
        changes: 10,
        errors: 2,
        lastError: { code: 'SOURCE_UNREACHABLE', message: 'no route\nto host', at: 57_000 },
      },
      {
        stage: 'sink:duckdb',
        kind: 'sink',
        state: 'running',
        position: null,
        behindRecords: 1_500,
        changesPerSecond: 0,
        changes: 10,
        errors: 0,
        lastError: null,
      },
    ],
    lag: [{ sink: 'duckdb', read: 0.004, raw: 0.006, changes: 0.009, applied: null, total: 0.019 }],
    snapshot: done,
    besides: [],
    parked: [],
    rebuilds: [
      {
        sink: 'duckdb',
        table: 'public.orders',
        from: 'latest',
        records: 400,
        recordsExpected: 900,
      },
    ],
    deliveries: [
      {
        table: 'public.orders',
        sink: 'duckdb',
        rows: 900,
        changes: 500,
        behindRecords: 1_500,
        behindSeconds: 75,
      },
    ],
    copies: [
      {
        table: 'public.orders',
        where: 'id > 5',
        state: 'copying',
        rows: 1_000,
        rowsEstimated: 2_000,
        failure: null,
      },
    ],
    source: { retainedBytes: 2_048, safeBytes: 1_024, state: 'extended', atRisk: true },
    tables: [
      {
        table: 'public.orders',
        topics: [
          { topic: 'shop.public.orders', records: 2_000, bytes: 2_048 },
          { topic: 'shop.public.orders.changes', records: 2_000, bytes: 2_048 },
          { topic: 'shop.public.orders.latest', records: 900, bytes: 1_024 },
        ],
      },
    ],
  };
  expect(statusLines(status, 60_000).join('\n')).toBe(`shop  running for 1m, pid 42

STAGE        STATE        RATE  BEHIND  ERRORS  POSITION, LAST ERROR
source       retrying  1,200/s       -       2  0001.02
sink:duckdb  running       0/s   1,500       0
  source: SOURCE_UNREACHABLE 3s ago: no route

LAG TO  COMMIT→READ  READ→RAW  RAW→CHANGES  CHANGES→APPLIED    TOTAL
duckdb      0.004 s   0.006 s      0.009 s                -  0.019 s

snapshot  done: 1,000,000 rows of 1 table, 250,000/s

COPY OF        STATE     ROWS  OF ABOUT  WHERE, FAILURE
public.orders  copying  1,000     2,000  id > 5

public.orders is made again in duckdb from .latest: 400 of about 900 records

source keeps 2.0 KiB for this pipeline, 1.0 KiB more are safe (extended)  AT RISK

TABLE          ROWS  CHANGES  BEHIND     LAG  ON TOPICS
public.orders   900      500   1,500  1m 15s    5.0 KiB`);
});

test.each([
  ['postgres://app:hunter2@db:5432/shop?password=hunter2', 'postgres://app:***@db:5432/shop'],
  ['postgres://db/shop', 'postgres://db/shop'],
  ['host=db password=hunter2', '[redacted]'],
])('%s is shown as %s', (url, shown) => {
  expect(redactUrl(url)).toBe(shown);
});
