import type { Command } from 'commander';
import { componentsOf } from '../components.ts';
import type { Config } from '../config.ts';
import type { CapturedTable } from '../connectors/connector.ts';
import { findRunning } from '../console/client.ts';
import { silent } from '../log.ts';
import { lookAtSource } from '../runtime/source-look.ts';
import { loadConfig } from './load-config.ts';
import type { CliContext } from './terminal.ts';
import { answer, type CommonOptions, verb } from './verb.ts';

interface ValidateOptions extends CommonOptions {
  readonly offline?: true;
}

export function validateCommand(context: CliContext): Command {
  return verb('validate', 'Check the configuration file, and whether its source can be captured')
    .option('--offline', 'check the file only')
    .action(async (options: ValidateOptions) => {
      const config = await loadConfig(options.config, context);
      const captured = options.offline === true ? null : await look(config, context);
      answer(context, options, {
        data: {
          valid: true,
          config: redacted(config),
          captured: captured?.map(({ table }) => table) ?? null,
        },
        lines: () => [
          `${options.config} is valid: ${config.pipeline}, ${config.source.kind} to ` +
            config.sinks.map((sink) => sink.name).join(', '),
          ...(captured === null ? [] : [`the source is ready: ${tables(captured.length)}`]),
        ],
      });
    });
}

async function look(config: Config, context: CliContext): Promise<readonly CapturedTable[] | null> {
  const { signal } = context;
  const running = await findRunning(config.broker.path, config.pipeline, signal);
  const components = componentsOf(config, context, silent);
  return lookAtSource(components, { signal, beside: running !== null });
}

function tables(count: number): string {
  return `${count} ${count === 1 ? 'table' : 'tables'} can be captured`;
}

/** The configuration without its secrets. */
export function redacted(config: Config): Config {
  const { password, url, ...source } = config.source;
  return {
    ...config,
    source: {
      ...source,
      ...(password === undefined ? {} : { password: '[redacted]' }),
      ...(url === undefined ? {} : { url: redactUrl(url) }),
    },
  };
}

/** Only host, port and database are left of a URL; of what is none, nothing. */
export function redactUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null) return '[redacted]';
  const user = url.username === '' ? '' : `${url.username}${url.password === '' ? '' : ':***'}@`;
  return `${url.protocol}//${user}${url.host}${url.pathname}`;
}
