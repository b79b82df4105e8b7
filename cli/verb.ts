import { Command } from 'commander';
import type { CliContext } from './terminal.ts';

export const CONFIG_FILE = 'millrace.yaml';

export interface CommonOptions {
  readonly config: string;
  readonly json?: true;
}

/** A command with what every verb has: `--json`, and `--config` for those that need a pipeline. */
export function verb(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option('-c, --config <file>', 'configuration file', CONFIG_FILE)
    .option('--json', 'write JSON')
    .helpOption('-h, --help', 'show this help');
}

/** Writes a result: the data as JSON, or the lines made of it. */
export function answer(
  context: CliContext,
  options: Pick<CommonOptions, 'json'>,
  result: { readonly data: unknown; readonly lines: () => readonly string[] },
): void {
  const text = options.json === true ? JSON.stringify(result.data) : result.lines().join('\n');
  context.terminal.out(`${text}\n`);
}
