import type { Command } from 'commander';
import type { Config } from '../config.ts';
import { loadConfig } from './load-config.ts';
import type { CliContext } from './terminal.ts';
import { answer, type CommonOptions, verb } from './verb.ts';

export function validateCommand(context: CliContext): Command {
  return verb('validate', 'Check the configuration file, without touching source or sink').action(
    async (options: CommonOptions) => {
      const config = redacted(await loadConfig(options.config, context));
      answer(context, options, {
        data: { valid: true, config },
        lines: () => [
          `${options.config} is valid: ${config.pipeline}, ` +
            `${config.source.tables.length} ${config.source.tables.length === 1 ? 'table' : 'tables'} ` +
            `of ${config.source.kind} to ${config.sinks.map((sink) => sink.name).join(', ')}`,
        ],
      });
    },
  );
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
