import type { Pipeline } from '../runtime/run.ts';
import type { TableShape } from '../schemas/envelope.ts';
import type { TargetOptions } from '../sinks/target.ts';

/** What can be asked of a pipeline or done to it. */
export type Ordered = Pick<Pipeline, 'query' | 'copy' | 'pending' | 'tables'>;

type Fields = Readonly<Record<string, unknown>>;

interface Order {
  /** What its body is expected to be. */
  readonly expected: string;
  /** Null if the body is something else. */
  carry(pipeline: Ordered, fields: Fields, signal: AbortSignal): Promise<unknown> | null;
}

const ACTIONS = ['start', 'pause', 'resume', 'cancel'] as const;

/** What a `POST` may ask for, by its path. */
export const orders: Readonly<Record<string, Order>> = {
  '/query': {
    expected: '{"sql": "…"}',
    carry(pipeline, { sql, sink, rowsMax }, signal) {
      if (typeof sql !== 'string') return null;
      return pipeline.query(sql, {
        signal,
        ...(typeof sink === 'string' ? { sink } : {}),
        ...(Number.isInteger(rowsMax) ? { rowsMax: Number(rowsMax) } : {}),
      });
    },
  },
  '/snapshot': {
    expected: `{"action": "${ACTIONS.join(' | ')}", "table": "…", "where": "…"}`,
    carry(pipeline, { action, table, where }, signal) {
      const known = ACTIONS.find((one) => one === action);
      if (known === undefined || typeof table !== 'string') return null;
      const asked = { action: known, table, ...(typeof where === 'string' ? { where } : {}) };
      return pipeline.copy(asked, signal).then(() => ({ ok: true }));
    },
  },
  '/pending': {
    expected: '{"sink": "…", "options": {…}, "shape": {…}}',
    carry(pipeline, { sink, options, shape }) {
      if (typeof sink !== 'string' || !isObject(options) || !isObject(shape)) return null;
      // Only `millrace plan` sends this, and made both of its own types.
      return pipeline.pending(
        sink,
        options as unknown as TargetOptions,
        shape as unknown as TableShape,
      );
    },
  },
  '/tables/resume': {
    expected: '{"table": "…", "sink": "…"}',
    carry(pipeline, { table, sink }) {
      if (typeof table !== 'string') return null;
      return pipeline.tables.resume(table, name(sink)).then(() => ({ table }));
    },
  },
  '/tables/rebuild': {
    expected: '{"table": "…", "sink": "…", "from": "changes | latest"}',
    carry(pipeline, { table, sink, from = 'changes' }, signal) {
      if (typeof table !== 'string' || (from !== 'changes' && from !== 'latest')) return null;
      const how = { from, sink: name(sink), signal } as const;
      return pipeline.tables.rebuild(table, how).then(() => ({ table }));
    },
  },
};

function name(given: unknown): string | undefined {
  return typeof given === 'string' ? given : undefined;
}

/** Does what a `POST` asks for; 400 for a body that is not as expected. Throws what the pipeline throws. */
export async function obey(
  pipeline: Ordered,
  {
    path,
    body,
    signal,
  }: { readonly path: string; readonly body: unknown; readonly signal: AbortSignal },
): Promise<{ readonly status: number; readonly value: unknown }> {
  const order = orders[path];
  if (order === undefined) throw new TypeError(`nobody takes orders at ${path}`);
  const done = order.carry(pipeline, isObject(body) ? body : {}, signal);
  if (done === null) return { status: 400, value: { error: `expected ${order.expected}` } };
  return { status: 200, value: await done };
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
