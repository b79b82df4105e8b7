import { expect, test } from 'vitest';
import { metricNames, Metrics } from './metrics.ts';

/** Dashboards hang on these: to change one is to break them. */
const published = [
  'millrace_batch_duration_seconds',
  'millrace_batches_total',
  'millrace_behind_records',
  'millrace_bytes_total',
  'millrace_changes_total',
  'millrace_copy_failed',
  'millrace_copy_rows',
  'millrace_errors_total',
  'millrace_lag_seconds',
  'millrace_parked_records',
  'millrace_parked_tables',
  'millrace_snapshot_rows',
  'millrace_snapshot_rows_estimated',
  'millrace_source_at_risk',
  'millrace_source_retained_bytes',
  'millrace_source_safe_bytes',
  'millrace_stage_up',
  'millrace_topic_bytes',
];

async function scraped(): Promise<string> {
  const metrics = new Metrics('shop');
  const stage = metrics.stage({ name: 'sink:duckdb', kind: 'sink' });
  stage.batch({ changes: 3, bytes: 120, seconds: 0.02 });
  stage.batch({ changes: 2, bytes: 80, seconds: 0.02 });
  stage.error('SINK_FENCED');
  stage.up(true);
  metrics.set({
    lag: [{ sink: 'duckdb', read: null, raw: 0.01, changes: 0.01, applied: 0.014, total: 0.034 }],
    stages: [
      {
        stage: 'sink:duckdb',
        kind: 'sink',
        state: 'running',
        position: null,
        behindRecords: 12,
        changesPerSecond: 0,
        changes: 5,
        errors: 1,
        lastError: null,
      },
    ],
    tables: [
      {
        table: 'public.orders',
        topics: [{ topic: 'shop.public.orders', records: 9, bytes: 4_096 }],
      },
    ],
    parked: [],
    copies: [],
    source: null,
    snapshot: {
      rows: 10,
      rowsEstimated: 20,
      rowsPerSecond: 5,
      remainingSeconds: 2,
      tables: [{ table: 'public.orders', rows: 10, rowsEstimated: 20, done: false }],
    },
  });
  return metrics.text();
}

test('the metrics are exactly the published ones, besides those of the process', async () => {
  const names = [...(await scraped()).matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) => name);
  const own = names.filter((name) => !/^millrace_(process|nodejs)_/.test(name));
  expect(own.toSorted()).toEqual(published);
  expect(Object.keys(metricNames).toSorted()).toEqual(published);
});

test('names follow the rules of Prometheus: one prefix, base units, totals for counters', async () => {
  const types = [...(await scraped()).matchAll(/^# TYPE (\S+) (\S+)/gm)];
  const own = types.filter(([, name = '']) => !/^millrace_(process|nodejs)_/.test(name));
  for (const [, name] of types) expect(name).toMatch(/^millrace_[a-z_0-9]+$/);
  for (const [, name = '', type] of own) {
    expect(name.endsWith('_total')).toBe(type === 'counter');
    expect(name).not.toMatch(/_(ms|millis|kb|mb|minutes)\b/);
  }
});

test('values carry the labels of their stage', async () => {
  const text = await scraped();
  const labels = 'pipeline="shop",stage="sink:duckdb",kind="sink"';
  expect(text).toContain(`millrace_changes_total{${labels}} 5`);
  expect(text).toContain(`millrace_bytes_total{${labels}} 200`);
  expect(text).toContain(`millrace_errors_total{${labels},code="SINK_FENCED"} 1`);
  expect(text).toContain(`millrace_stage_up{${labels}} 1`);
  expect(text).toContain('millrace_lag_seconds{pipeline="shop",sink="duckdb",hop="total"} 0.034');
});
