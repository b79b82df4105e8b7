import { deepEqual, equal, ok } from 'node:assert/strict';
import { describe, expect, test } from 'vitest';
import type { TopicName, TopicPartition } from '../../broker/broker.ts';
import type { PlainRecord } from '../../broker/records.ts';
import type { Processor } from '../../processors/processor.ts';
import { TopicLog } from '../support/topic-log.ts';

/** A processor to be tested, with something for it to do. */
export interface ProcessorSubject extends AsyncDisposable {
  /** A new one, which knows nothing but what it reads when a partition is opened. */
  make(): Processor;
  readonly input: TopicName;
  /** At least 20 records of one partition: several keys, several records of each, some given twice. */
  readonly records: readonly PlainRecord[];
  /** Output topics that get each record that is not dropped, in order. */
  readonly histories: readonly TopicName[];
  /** Output topics of which only the newest record per key counts, without its headers. */
  readonly compacted: readonly TopicName[];
  /** How many records it says that it dropped on purpose, since it was made. */
  dropped(processor: Processor): number;
}

/** Publishes what the processor makes of `[from, to)`; the offset it consumed up to. */
interface Call {
  readonly from: number;
  readonly to: number;
  readonly partition?: number;
}

class Caller {
  readonly log = new TopicLog();
  readonly #subject: ProcessorSubject;

  constructor(subject: ProcessorSubject) {
    this.#subject = subject;
    for (const partition of [0, 1]) this.log.append(this.at(partition), subject.records);
  }

  at(partition: number): TopicPartition {
    return { topic: this.#subject.input, partition };
  }

  async open(partition = 0): Promise<Processor> {
    const processor = this.#subject.make();
    await processor.open(this.at(partition), this.log);
    return processor;
  }

  async give(processor: Processor, { from, to, partition = 0 }: Call): Promise<number> {
    let batches = [this.log.batch(this.at(partition), from, to)];
    let next = from;
    for (let more = true; more; batches = []) {
      const processed = await processor.process(batches);
      for (const consumed of processed.consumed) {
        deepEqual(
          { ...consumed, next: 0 },
          { ...this.at(partition), group: 'compact', generation: 1, next: 0 },
        );
        ok(
          consumed.next >= next && consumed.next <= to,
          'offsets go forward, within what was given',
        );
        next = consumed.next;
      }
      this.log.publish(processed.outgoing);
      ({ more } = processed);
    }
    return next;
  }

  /** All that counts of the outputs of a partition. */
  outputs(partition = 0): unknown {
    const { histories, compacted } = this.#subject;
    return [
      histories.map((topic) => this.log.records({ topic, partition })),
      compacted.map((topic) => newest(this.log.records({ topic, partition }))),
    ];
  }
}

/** Headers are left out: in them a processor may leave itself notes that depend on where calls end. */
function newest(records: readonly PlainRecord[]): Map<string | undefined, unknown> {
  return new Map(
    records.map(({ key, value, op, version }) => [key?.toString('hex'), { value, op, version }]),
  );
}

async function expected(subject: ProcessorSubject): Promise<unknown> {
  const caller = new Caller(subject);
  await using processor = await caller.open();
  const { length } = subject.records;
  equal(await caller.give(processor, { from: 0, to: length }), length);
  return caller.outputs();
}

/** What every processor promises, whatever it does to the records. */
export function processorConformance(name: string, factory: () => Promise<ProcessorSubject>): void {
  describe(`processor conformance: ${name}`, () => {
    test.each([1, 2, 7])('batches of %i records come to the same as all at once', async (size) => {
      await using subject = await factory();
      const caller = new Caller(subject);
      await using processor = await caller.open();
      const { length } = subject.records;
      for (let from = 0; from < length; from += size) {
        await caller.give(processor, { from, to: Math.min(from + size, length) });
      }
      expect(caller.outputs()).toEqual(await expected(subject));
    });

    test('state rebuilt from the outputs before every batch equals state that was kept', async () => {
      await using subject = await factory();
      const caller = new Caller(subject);
      const { length } = subject.records;
      for (let next = 0; next < length;) {
        await using processor = await caller.open();
        next = await caller.give(processor, { from: next, to: Math.min(next + 3, length) });
      }
      expect(caller.outputs()).toEqual(await expected(subject));
    });

    test('a result that was never published leaves no trace after opening again', async () => {
      await using subject = await factory();
      const caller = new Caller(subject);
      const { length } = subject.records;
      for (let from = 0; from < length; from += 4) {
        await using processor = await caller.open();
        const to = Math.min(from + 4, length);
        await processor.process([caller.log.batch(caller.at(0), from, to)]);
        await processor.close(caller.at(0));
        await processor.open(caller.at(0), caller.log);
        expect(await caller.give(processor, { from, to })).toBe(to);
      }
      expect(caller.outputs()).toEqual(await expected(subject));
    });

    test('records of a key keep the order of their input', async () => {
      await using subject = await factory();
      const caller = new Caller(subject);
      await using processor = await caller.open();
      await caller.give(processor, { from: 0, to: subject.records.length });
      for (const topic of [...subject.histories, ...subject.compacted]) {
        const versions = new Map<string | undefined, bigint>();
        for (const { key, version = 0n } of caller.log.records({ topic, partition: 0 })) {
          if (key === null) continue;
          const id = key.toString('hex');
          expect(version).toBeGreaterThan(versions.get(id) ?? -(2n ** 63n));
          versions.set(id, version);
        }
      }
    });

    test('what is not in the output is counted as dropped', async () => {
      await using subject = await factory();
      const caller = new Caller(subject);
      await using processor = await caller.open();
      const { length } = subject.records;
      await caller.give(processor, { from: 0, to: length });
      for (const topic of subject.histories) {
        const written = caller.log.records({ topic, partition: 0 }).length;
        expect(written).toBeGreaterThan(0);
        expect(written + subject.dropped(processor)).toBe(length);
      }
    });

    test('partitions know nothing of each other, and output stays in the partition of its input', async () => {
      await using subject = await factory();
      const caller = new Caller(subject);
      await using processor = await caller.open();
      await processor.open(caller.at(1), caller.log);
      const { length } = subject.records;
      const half = length >> 1;
      await caller.give(processor, { from: 0, to: half });
      await caller.give(processor, { from: 0, to: length, partition: 1 });
      await caller.give(processor, { from: half, to: length });
      expect(caller.outputs(0)).toEqual(await expected(subject));
      expect(caller.outputs(1)).toEqual(caller.outputs(0));
    });

    test('several partitions in one call come to the same as one by one', async () => {
      await using subject = await factory();
      const caller = new Caller(subject);
      await using processor = await caller.open();
      await processor.open(caller.at(1), caller.log);
      const { length } = subject.records;
      let batches = [0, 1].map((partition) => caller.log.batch(caller.at(partition), 0, length));
      const consumed = new Map<number, number>();
      for (let more = true; more; batches = []) {
        const processed = await processor.process(batches);
        for (const { partition, next } of processed.consumed) consumed.set(partition, next);
        caller.log.publish(processed.outgoing);
        ({ more } = processed);
      }
      expect([...consumed]).toEqual([
        [0, length],
        [1, length],
      ]);
      expect(caller.outputs(0)).toEqual(await expected(subject));
      expect(caller.outputs(1)).toEqual(caller.outputs(0));
    });

    test('nothing given is nothing made, and a partition that is not open is refused', async () => {
      await using subject = await factory();
      const caller = new Caller(subject);
      await using processor = await caller.open();
      expect(await processor.process([])).toEqual({
        outgoing: [],
        consumed: [],
        more: false,
        paused: [],
      });
      await processor.close(caller.at(0));
      await expect(processor.process([caller.log.batch(caller.at(0), 0, 1)])).rejects.toThrow(
        'not open',
      );
      await expect(processor.close(caller.at(0))).resolves.toBeUndefined();
    });
  });
}
