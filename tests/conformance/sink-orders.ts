import type { TestChange } from '../support/changes.ts';

/** Changes of the table `orders` in short. */
export const create = (
  version: number,
  id: number,
  a: string | null = `a${version}`,
): TestChange => ({
  op: 'c',
  version,
  after: { id, a, b: BigInt(version) },
});
export const update = (version: number, id: number, a = `a${version}`): TestChange => ({
  op: 'u',
  version,
  after: { id, a, b: BigInt(version) },
});
export const remove = (version: number, id: number): TestChange => ({
  op: 'd',
  version,
  before: { id, a: null, b: null },
  unchanged: ['a', 'b'],
});
export const truncate = (version: number): TestChange => ({ op: 't', version });
