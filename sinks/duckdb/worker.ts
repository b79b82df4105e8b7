import type { TableShape } from '../../schemas/envelope.ts';
import type { TargetOptions } from '../target.ts';
import { hostSink } from '../thread/sink-host.ts';
import { duckdbSink } from './sink.ts';

// The thread that a DuckDB sink works in: see thread.ts.
hostSink(duckdbSink, (sink) => ({
  query: ({ sql, options }: { sql: string; options: object }, signal) =>
    sink.query(sql, { ...options, signal }),
  pending: ({ target, shape }: { target: TargetOptions; shape: TableShape }) =>
    sink.pending(target, shape),
  held: () => sink.held(),
}));
