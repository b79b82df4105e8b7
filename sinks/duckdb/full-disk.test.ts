import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { silent } from '../../log.ts';
import { batchOf, memoryRegistry, TableChangesBuilder } from '../../tests/support/changes.ts';
import { duckdbSink } from './sink.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-full-'));
const mounted = mountSmall();

afterAll(() => {
  if (mounted) execFileSync('umount', [folder]);
  rmSync(folder, { recursive: true });
});

/** A file system of its own with little room; needs root. */
function mountSmall(): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'none', folder], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

test.skipIf(!mounted)(
  'a full disk is said, loses nothing, and the sink goes on when there is room',
  async () => {
    const registry = memoryRegistry();
    const path = join(folder, 'shop.duckdb');
    const ballast = join(folder, 'ballast');
    const columns = [
      { name: 'id', type: { kind: 'int32' }, optional: false },
      { name: 'text', type: { kind: 'string' }, optional: true },
    ] as const;
    const shape = { topic: 'shop.public.t', key: ['id'], columns };
    const builder = await TableChangesBuilder.register(shape, registry);
    const { topic } = builder;
    const options = { path, pipeline: 'full', prefix: 'shop', threads: 1 };
    await using sink = duckdbSink(options, { registry, log: silent });
    const write = async (base: number): Promise<unknown> => {
      const records = Array.from({ length: 200 }, (_, index) => {
        const id = base + index;
        // Text that does not compress away.
        const text = Array.from({ length: 100 }, () => Math.random().toString(36)).join('');
        return builder.record({ op: 'c', version: id + 1, after: { id, text } });
      });
      return sink.write([batchOf(records, { topic, base })], new AbortController().signal);
    };
    await sink.open([{ topic, partition: 0 }]);
    await write(0);
    await writeFile(ballast, Buffer.alloc(15 * 1024 * 1024)).catch(() => undefined);
    let base = 200;
    const failed = await (async () => {
      for (; base < 20_000; base += 200) await write(base);
    })().catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: 'SINK_FULL' });
    await rm(ballast);
    const [found] = await sink.open([{ topic, partition: 0 }]);
    expect(found?.next).toBe(base);
    await write(base);
    const { rows } = await sink.query('SELECT count(*), max(id) FROM public.t');
    expect(rows).toEqual([[String(base + 200), base + 199]]);
  },
);
