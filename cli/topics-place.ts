import type { Config } from '../config.ts';
import { type CliContext, shortPath } from './terminal.ts';

/** Where the topics are, as a person names it. */
export function topicsPlace({ broker }: Config, context: CliContext): string {
  return broker.kind === 'kafka' ? broker.brokers.join(',') : shortPath(broker.path, context);
}
