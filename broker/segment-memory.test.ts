import { expect, test } from 'vitest';
import { offset, topicName, type ReadBatch } from './broker.ts';
import { releaseBatches, releaseBuffer } from './segment-memory.ts';

const LARGE = 512 * 1024;

const batch = (...buffers: readonly Buffer[]): ReadBatch => ({
  topic: topicName('t'),
  partition: 0,
  segments: buffers.map((bytes) => ({ base: offset(0), bytes, count: 1 })),
  count: buffers.length,
  bytes: 0,
});

test('a segment with a large buffer to itself is given back, and may be so twice', () => {
  const whole = Buffer.allocUnsafeSlow(LARGE);
  const nearly = Buffer.allocUnsafeSlow(LARGE + 1).subarray(0, LARGE);
  releaseBatches([batch(whole, nearly)]);
  expect([whole.length, nearly.length]).toEqual([0, 0]);
  releaseBatches([batch(whole, nearly)]);
});

test('what shares its buffer, or is small, is left alone', () => {
  const both = Buffer.allocUnsafeSlow(LARGE);
  const [first, second] = [both.subarray(0, LARGE / 2), both.subarray(LARGE / 2)];
  const small = Buffer.allocUnsafeSlow(1000);
  const pooled = Buffer.from('pooled');
  releaseBatches([batch(first, small, pooled)]);
  expect([first.length, second.length, small.length]).toEqual([LARGE / 2, LARGE / 2, 1000]);
  expect(pooled.toString()).toBe('pooled');
});

test('a buffer is given back with everything in it', () => {
  const part = Buffer.allocUnsafeSlow(LARGE).subarray(10, 20);
  releaseBuffer(part);
  expect(part.length).toBe(0);
  const small = Buffer.from('small');
  releaseBuffer(small);
  expect(small.toString()).toBe('small');
});
