import { existsSync } from 'node:fs';
import type { Config } from '../config.ts';
import { MillraceError } from '../errors.ts';

/**
 * Whether there may be anything of the pipeline: its topics, and in them how far it is. Those of a cluster
 * are there whatever this machine has.
 */
export function hasRun({ broker }: Config): boolean {
  return broker.kind === 'kafka' || existsSync(broker.path);
}

/** Throws `NOT_RUNNING` for a pipeline that has left nothing to look at. */
export function requireHasRun(config: Config): void {
  if (hasRun(config)) return;
  throw new MillraceError('NOT_RUNNING', `${config.pipeline} has not run yet`, {
    place: config.broker.path,
  });
}
