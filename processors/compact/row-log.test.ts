import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { pack, RecordCursor } from '../../broker/records.ts';
import type { RowPlace } from './key-table.ts';
import { RowLog } from './row-log.ts';

const directory = mkdtempSync(join(tmpdir(), 'rows-'));
afterAll(() => rmSync(directory, { recursive: true }));

const packed = (key: number, size: number): Buffer => {
  const value = Buffer.alloc(size, key);
  return Buffer.from(pack([{ key: Buffer.from([key]), value, timestamp: key }]).written());
};
const cursor = new RecordCursor(Buffer.alloc(0));

/** Appends a row in a block of its own, behind one that does not count. */
function append(log: RowLog, owner: number, row: Buffer): RowPlace {
  const other = packed(255, 10);
  log.begin();
  const place = {
    segment: log.segment,
    offset: log.offset + other.length,
    length: row.length,
  };
  log.append(owner, Buffer.concat([other, row]));
  log.claim(row.length);
  return place;
}

test('rows are read back from the buffer, from files, and where they are larger than both', () => {
  using log = new RowLog({ directory, segmentBytes: 300_000 });
  const sizes = [10, 0, 200_000, 900_000, 2_000_000, 5, 1_048_400, 1_048_500, 77];
  const places: RowPlace[] = [];
  for (const [key, size] of sizes.entries()) {
    places.push(append(log, 1, packed(key, size)));
    for (const [earlier, place] of places.entries()) {
      log.read(place, cursor);
      expect(cursor.key()).toEqual(Buffer.from([earlier]));
      expect(cursor.valueLength).toBe(sizes[earlier]);
      expect(cursor.value()?.every((byte) => byte === earlier)).toBe(true);
    }
  }
  expect(new Set(places.map(({ segment }) => segment)).size).toBeGreaterThan(3);
});

test('when most is garbage, live rows move and the space is given back', () => {
  using log = new RowLog({ directory, segmentBytes: 100_000 });
  const rows = new Map<number, RowPlace>();
  for (let round = 0; round < 100; round++) {
    for (let key = 0; key < 50; key++) {
      // Key 0 is written once, so that it has to move again and again.
      if (key === 0 && round > 0) continue;
      const old = rows.get(key);
      if (old !== undefined) log.release(old);
      rows.set(key, append(log, 7, packed(key, 1000 + key)));
    }
    log.tidy((owner, found, from) => {
      expect(owner).toBe(7);
      const key = found.key()?.[0] as number;
      const place = rows.get(key);
      if (place?.segment !== from || place.offset !== found.start) return;
      rows.set(key, append(log, owner, Buffer.from(found.bytes.subarray(found.start, found.end))));
    });
    for (const [key, place] of rows) expect(log.read(place, cursor).valueLength).toBe(1000 + key);
    expect(log.bytes).toBeLessThan(500_000);
  }
  expect(log.live).toBe(50 * (36 + 1 + 1000) + (49 * 50) / 2);
});

test('nothing stays on disk, and a directory that cannot be used is named', () => {
  {
    using log = new RowLog({ directory: join(directory, 'new') });
    append(log, 1, packed(1, 10));
    expect(readdirSync(join(directory, 'new'))).toEqual([]);
  }
  const file = join(directory, 'file');
  writeFileSync(file, '');
  using log = new RowLog({ directory: file });
  expect(() => append(log, 1, packed(1, 10))).toThrow(
    expect.objectContaining({ code: 'STATE_UNUSABLE', place: file }),
  );
});
