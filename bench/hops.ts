import type { Hop } from './hop.ts';

/** Every hop, in the order of a change's way; then those about growth, and a lone change. */
const hops: Readonly<Record<string, () => Promise<Hop>>> = {
  'snapshot-to-raw': async () => (await import('./hops/snapshot-to-raw.ts')).hop,
  'stream-to-raw': async () => (await import('./hops/stream-to-raw.ts')).hop,
  compact: async () => (await import('./hops/compact.ts')).hop,
  'topic-to-duckdb': async () => (await import('./hops/topic-to-duckdb.ts')).hop,
  'snapshot-end-to-end': async () => (await import('./hops/snapshot-end-to-end.ts')).hop,
  'stream-end-to-end': async () => (await import('./hops/stream-end-to-end.ts')).hop,
  keys: async () => (await import('./hops/keys.ts')).hop,
  restore: async () => (await import('./hops/restore.ts')).hop,
  tables: async () => (await import('./hops/tables.ts')).hop,
  latency: async () => (await import('./hops/latency.ts')).hop,
};

export const hopNames = Object.keys(hops);

/** Throws if there is none of that name, naming those that there are. */
export async function findHop(name: string): Promise<Hop> {
  const open = hops[name];
  if (open === undefined) throw new Error(`no hop ${name}; there are ${hopNames.join(', ')}`);
  return await open();
}
