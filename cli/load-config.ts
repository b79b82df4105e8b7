import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { type BrokerConfig, type Config, parseConfig } from '../config.ts';
import { MillraceError } from '../errors.ts';
import type { CliContext } from './terminal.ts';

/**
 * Reads the configuration; paths in it are relative to the file. Throws `CONFIG_MISSING`,
 * `CONFIG_INVALID`.
 */
export async function loadConfig(file: string, context: CliContext): Promise<Config> {
  const path = resolve(context.folder, file);
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new MillraceError('CONFIG_MISSING', 'the configuration file cannot be read', {
      place: path,
      cause,
    });
  });
  const config = parseConfig(text, { file, environment: context.environment });
  const beside = (path_: string): string =>
    isAbsolute(path_) ? path_ : join(dirname(path), path_);
  return {
    ...config,
    broker: brokerBeside(config.broker, beside),
    sinks: config.sinks.map((sink) => ({ ...sink, path: beside(sink.path) })),
  };
}

function brokerBeside(broker: BrokerConfig, beside: (path: string) => string): BrokerConfig {
  const path = beside(broker.path);
  if (broker.kind === 'embedded' || broker.tls === undefined) return { ...broker, path };
  const files = (['ca', 'cert', 'key'] as const).flatMap((name) => {
    const file = broker.tls?.[name];
    return file === undefined ? [] : [[name, beside(file)]];
  });
  return { ...broker, path, tls: { ...broker.tls, ...Object.fromEntries(files) } };
}
