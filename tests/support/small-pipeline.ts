import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { topicName } from '../../broker/broker.ts';
import { type Embedded, openEmbedded } from '../../broker/embedded/embedded.ts';
import { type Config, parseConfig } from '../../config.ts';
import { silent } from '../../log.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Components } from '../../runtime/components.ts';
import type { Reach } from '../../runtime/failpoints.ts';
import { openPipeline, type Pipeline } from '../../runtime/run.ts';
import { copier, NumbersSource, NumbersTable } from './small-parts.ts';

export const raw = topicName('shop.public.orders');
export const changes = topicName('shop.public.orders.changes');

/** A pipeline of numbers over a real broker; source, broker file and sink outlive its crashes. */
export class SmallPipeline {
  source: NumbersSource;
  readonly table = new NumbersTable();
  readonly folder = mkdtempSync(join(tmpdir(), 'millrace-run-'));
  readonly config: Config;

  constructor(last: number, drainTimeout = '10s') {
    onTestFinished(() => rmSync(this.folder, { recursive: true }));
    this.source = new NumbersSource('public.orders', last);
    this.config = parseConfig(
      `pipeline: shop
broker: { kind: embedded, path: "${this.folder}" }
source: { kind: postgres, tables: [public.orders] }
partitions: 2
sinks: [{ kind: duckdb, path: unused }]
drainTimeout: ${drainTimeout}
`,
      { file: 'millrace.yaml', environment: {} },
    );
  }

  openBroker(): Promise<Embedded> {
    return openEmbedded({ path: this.folder, fsync: false }, silent);
  }

  /** Opens it once; with a broker given, on that. */
  async open(
    options: {
      readonly reach?: Reach;
      readonly startOver?: boolean;
      readonly clock?: Clock;
      readonly broker?: Embedded;
    } = {},
  ): Promise<Pipeline> {
    const { broker, ...rest } = options;
    const components: Components = {
      openBroker: () => (broker === undefined ? this.openBroker() : Promise.resolve(broker)),
      openConnector: () => Promise.resolve(this.source.connect()),
      openProcessor: () => Promise.resolve(copier()),
      openSink: () => Promise.resolve(this.table.open()),
    };
    const { signal } = new AbortController();
    return openPipeline(this.config, components, { ...rest, log: silent, pid: 1, signal });
  }

  /** Runs until the sink holds that many rows. */
  async runUntil(rows: number, reach?: Reach): Promise<void> {
    const stop = new AbortController();
    this.table.written = () => {
      if (this.table.rows.length >= rows) stop.abort();
    };
    await using pipeline = await this.open(reach === undefined ? {} : { reach });
    if (this.table.rows.length >= rows) stop.abort();
    await pipeline.run(stop.signal);
  }
}
