import { expect, test } from 'vitest';
import type { Status } from '../../runtime/status.ts';
import type { Terminal } from '../terminal.ts';
import { audience } from './audience.ts';

/** Up three lines, and all below goes. */
const ERASE = '\u001b[3A\u001b[J';

const load = {
  inserts: 1000,
  updates: 200,
  deletes: 30,
  keyChanges: 4,
  columnsAdded: 0,
  transactions: 9,
};

const status: Status = {
  pipeline: 'shop',
  running: true,
  pid: 1,
  startedAt: 0,
  stages: ['source', 'compact', 'sink:duckdb'].map((stage) => ({
    stage,
    kind: 'source',
    state: 'running',
    position: null,
    behindRecords: 0,
    changesPerSecond: 1500,
    changes: 1,
    errors: 0,
    lastError: null,
  })),
  lag: [{ sink: 'duckdb', read: 0.001, raw: 0.002, changes: 0.003, applied: 0.02, total: 0.026 }],
  copies: [],
  source: null,
  snapshot: null,
  tables: [],
  besides: [],
  parked: [],
  rebuilds: [],
};

function capture(outIsTTY: boolean): { terminal: Terminal; text: () => string } {
  let text = '';
  return {
    terminal: {
      out: (part) => (text += part),
      err: () => {},
      outIsTTY,
      errIsTTY: false,
      columns: 60,
    },
    text: () => text,
  };
}

test('on a terminal the block is refreshed in place, below what has happened, and never wider', () => {
  const { terminal, text } = capture(true);
  const watched = audience(terminal);
  watched.live(load, null);
  watched.live(load, status);
  expect(text()).toContain(ERASE);
  watched.event('something');
  expect(text()).toMatch(/ 0\.\d s {2}something\n$/);
  const widest = Math.max(
    ...text()
      .replaceAll(ERASE, '')
      .split('\n')
      .map((line) => line.length),
  );
  expect(widest).toBe(60);
});

test('elsewhere there is one plain line a second', () => {
  const { terminal, text } = capture(false);
  const watched = audience(terminal);
  for (let times = 0; times < 5; times++) watched.live(load, status);
  expect(text().trimEnd().split('\n')).toHaveLength(1);
  expect(text()).not.toContain('\u001b');
  expect(text()).toContain('1,234 committed');
  expect(text()).toContain('source 1,500/s, compact 1,500/s, sink:duckdb 1,500/s');
  expect(text()).toContain('= 0.026 s');
});
