import { expect, test } from 'vitest';
import { offset } from '../../broker/broker.ts';
import { create, update } from './sink-orders.ts';
import { SIGNAL, SinkUnderTest, type SinkFactory } from './sink-under-test.ts';

export function sinkLedger(factory: SinkFactory): void {
  test('a partition goes on where the last durable write ended', async () => {
    await using under = await SinkUnderTest.open(factory, { partitions: 2 });
    expect(await under.takeOver(2)).toEqual([undefined, undefined]);
    await under.sink.write(
      [under.batch([create(1, 1), create(2, 2)], 0), under.batch([create(3, 3)], 1)],
      SIGNAL,
    );
    expect(await under.reopen()).toEqual([2, 1]);
    expect(await under.rows('id')).toEqual([['1'], ['2'], ['3']]);
  });

  test('what the ledger has is left out, also where it ends inside a batch', async () => {
    await using under = await SinkUnderTest.open(factory, { mode: 'append' });
    const first = under.batch([create(1, 1), create(2, 2)]);
    const second = under.batch([create(3, 3), create(4, 4)]);
    await under.sink.write([first], SIGNAL);
    const both = {
      ...second,
      segments: [...first.segments, ...second.segments],
      count: 4,
    };
    expect(await under.sink.write([both], SIGNAL)).toMatchObject({ changes: 2, rows: 2 });
    expect(await under.sink.write([first], SIGNAL)).toMatchObject({ changes: 0, rows: 0 });
    expect(await under.rows('id')).toEqual([['1'], ['2'], ['3'], ['4']]);
  });

  test('a gap in the offsets is a gap that the broker left', async () => {
    await using under = await SinkUnderTest.open(factory);
    await under.write([create(1, 1)]);
    const later = under.batch([create(2, 2)]);
    const [segment] = later.segments;
    const moved = {
      ...later,
      segments: segment === undefined ? [] : [{ ...segment, base: offset(100) }],
      consumed: { ...later.consumed, next: offset(103) },
    };
    await under.sink.write([moved], SIGNAL);
    expect(await under.takeOver()).toEqual([103]);
  });

  test('after another sink has taken the partition over, the first writes nothing more', async () => {
    await using under = await SinkUnderTest.open(factory);
    await under.write([create(1, 1)]);
    const zombie = under.sink;
    const next = under.batch([update(2, 1, 'zombie')]);
    under.sink = under.target.sink(under.options);
    expect(await under.takeOver()).toEqual([1]);
    await expect(zombie.write([next], SIGNAL)).rejects.toMatchObject({ code: 'SINK_FENCED' });
    await expect(zombie.write([next], SIGNAL)).rejects.toMatchObject({ code: 'SINK_FENCED' });
    expect(await under.rows('a')).toEqual([['a1']]);
    await under.sink.write([next], SIGNAL);
    expect(await under.rows('a')).toEqual([['zombie']]);
    await zombie[Symbol.asyncDispose]();
  });

  test('a partition that was not opened is refused', async () => {
    await using under = await SinkUnderTest.open(factory);
    await expect(under.write([create(1, 1)], 7)).rejects.toMatchObject({ code: 'SINK_FENCED' });
  });

  test('an aborted write changes nothing and the sink goes on after it is opened again', async () => {
    await using under = await SinkUnderTest.open(factory);
    await under.write([create(1, 1)]);
    const batch = under.batch([update(2, 1)]);
    const reason = new Error('stop');
    await expect(under.sink.write([batch], AbortSignal.abort(reason))).rejects.toBe(reason);
    await under.takeOver();
    await under.sink.write([batch], SIGNAL);
    expect(await under.rows('a')).toEqual([['a2']]);
  });

  test('a write of nothing does nothing', async () => {
    await using under = await SinkUnderTest.open(factory);
    const nothing = { changes: 0, rows: 0, committedAt: null, refused: [] };
    expect(await under.sink.write([], SIGNAL)).toEqual(nothing);
    expect(await under.write([])).toEqual(nothing);
  });

  test('a large batch in many segments is one write', async () => {
    await using under = await SinkUnderTest.open(factory);
    const changes = Array.from({ length: 30_000 }, (_, index) => update(index + 1, index % 20_000));
    const written = await under.sink.write([under.batch(changes, 0, 1000)], SIGNAL);
    expect(written).toMatchObject({ changes: 30_000, rows: 20_000 });
    const rows = await under.rows('id', '_version');
    expect(rows.length).toBe(20_000);
    for (const [id, version] of rows) {
      const expected = Number(id) < 10_000 ? Number(id) + 20_001 : Number(id) + 1;
      expect(Number(version)).toBe(expected);
    }
  });
}
