import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { type Config, parseConfig } from '../config.ts';
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
    broker: { ...config.broker, path: beside(config.broker.path) },
    sinks: config.sinks.map((sink) => ({ ...sink, path: beside(sink.path) })),
  };
}
