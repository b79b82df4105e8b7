import type { Command } from 'commander';
import type { CopyRequest } from '../connectors/connector.ts';
import { findRunning } from '../console/client.ts';
import { MillraceError } from '../errors.ts';
import { loadConfig } from './load-config.ts';
import type { CliContext } from './terminal.ts';
import { answer, type CommonOptions, verb } from './verb.ts';

interface SnapshotOptions extends CommonOptions {
  readonly where?: string;
  readonly pause?: true;
  readonly resume?: true;
  readonly cancel?: true;
}

const SAID = {
  start: 'is copied while its changes go on; see `millrace status`',
  pause: 'is paused',
  resume: 'goes on',
  cancel: 'is cancelled; what was copied stays',
} as const;

export function snapshotCommand(context: CliContext): Command {
  return verb('snapshot', 'Copy a table again while the pipeline runs')
    .argument('<table>', 'a captured table, such as public.orders')
    .option('--where <condition>', 'only rows for which this SQL is true')
    .option('--pause', 'let the copy of this table rest')
    .option('--resume', 'go on with a copy that rests or has failed')
    .option('--cancel', 'give the copy up')
    .action(async (table: string, options: SnapshotOptions) => {
      const request = requestOf(table, options);
      const config = await loadConfig(options.config, context);
      const { signal } = context;
      const running = await findRunning(config.broker.path, config.pipeline, signal);
      if (running === null) {
        throw new MillraceError('NOT_RUNNING', `${config.pipeline} does not run`, {
          place: config.broker.path,
        });
      }
      await running.copy(request);
      answer(context, options, { data: request, lines: () => [said(request)] });
    });
}

function said({ action, table }: CopyRequest): string {
  return action === 'start' ? `${table} ${SAID.start}` : `the copy of ${table} ${SAID[action]}`;
}

function requestOf(table: string, { where, ...options }: SnapshotOptions): CopyRequest {
  const controls = (['pause', 'resume', 'cancel'] as const).filter((name) => options[name]);
  const [action = 'start'] = controls;
  if (controls.length > 1 || (where !== undefined && action !== 'start')) {
    throw new MillraceError('USAGE', 'these options do not go together', {
      expected: 'one of --where, --pause, --resume, --cancel',
    });
  }
  return { action, table, ...(where === undefined ? {} : { where }) };
}
