import { describe } from 'vitest';
import { sinkMerge } from './sink-merge.ts';
import { sinkAppend } from './sink-append.ts';
import { sinkSchema } from './sink-schema.ts';
import { sinkLedger } from './sink-ledger.ts';
import { sinkCrash } from './sink-crash.ts';
import { sinkParking } from './sink-parking.ts';
import { sinkEvolution } from './sink-evolution.ts';
import { sinkProperties } from './sink-properties.ts';
import type { SinkFactory } from './sink-under-test.ts';

/** What every sink must do. `factory` gives a fresh target each time. */
export function sinkConformance(name: string, factory: SinkFactory): void {
  describe(`${name}: merge`, () => {
    sinkMerge(factory);
  });
  describe(`${name}: append`, () => {
    sinkAppend(factory);
  });
  describe(`${name}: schema`, () => {
    sinkSchema(factory);
  });
  describe(`${name}: ledger`, () => {
    sinkLedger(factory);
  });
  describe(`${name}: parking`, () => {
    sinkParking(factory);
  });
  describe(`${name}: crash`, () => {
    sinkCrash(factory);
  });
  describe(`${name}: properties`, () => {
    sinkProperties(factory);
    sinkEvolution(factory);
  });
}
