import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { parseConfig } from '../config.ts';
import { MillraceError } from '../errors.ts';
import { bytes, count } from './figures.ts';
import type { FoundDatabase } from './database-tables.ts';
import { identityStatement } from './identity-statement.ts';
import { starterConfig } from './starter-config.ts';
import { table } from './table.ts';
import type { CliContext } from './terminal.ts';
import { answer, type CommonOptions, verb } from './verb.ts';

interface InitOptions extends CommonOptions {
  readonly url?: string;
  readonly force?: true;
}

export function initCommand(context: CliContext): Command {
  return verb('init', 'Look at a database and write a commented millrace.yaml for it')
    .option('--url <url>', 'the database; if not given, DATABASE_URL, else the PG* variables')
    .option('--force', 'overwrite the file if there is one')
    .action(async (options: InitOptions) => {
      const url = options.url ?? context.environment['DATABASE_URL'];
      const { findTables } = await import('./database-tables.ts');
      const found = await findTables(url, context);
      const text = starterConfig(found, whatToWrite(options, context));
      if (!found.tables.some(({ identified }) => identified)) throw noneIdentified(found);
      // What we write must be what we read.
      const environment = { ...context.environment, DATABASE_URL: url };
      const { pipeline } = parseConfig(text, { file: options.config, environment });
      await write(resolve(context.folder, options.config), text, options.force === true);
      answer(context, options, {
        data: { file: options.config, pipeline, ...found },
        lines: () => [...shown(found), '', ...next(options, context)],
      });
    });
}

function noneIdentified({ server, tables }: FoundDatabase): MillraceError {
  return new MillraceError('SOURCE_IDENTITY', 'no table has a primary key', {
    place: server,
    expected: 'a primary key, or REPLICA IDENTITY FULL',
    remedy: tables.map(({ name }) => identityStatement(name)).join('\n'),
  });
}

/** How the file names the database: never with a password in it. */
function whatToWrite(options: InitOptions, context: CliContext): string | null {
  if (options.url === undefined) {
    return context.environment['DATABASE_URL'] === undefined ? null : '${DATABASE_URL}';
  }
  const url = URL.parse(options.url);
  const secret = url === null || url.password !== '' || url.searchParams.has('password');
  return secret ? '${DATABASE_URL}' : options.url;
}

async function write(path: string, text: string, force: boolean): Promise<void> {
  try {
    await writeFile(path, text, { flag: force ? 'w' : 'wx' });
  } catch (cause) {
    const exists = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST';
    throw new MillraceError(
      exists ? 'CONFIG_EXISTS' : 'ENVIRONMENT',
      exists ? 'the file is not overwritten' : 'the file cannot be written',
      { place: path, cause },
    );
  }
}

function shown({ server, tables, walLevel }: FoundDatabase): string[] {
  const rows = tables.map(({ name, rowsEstimated, bytes: size, key, identified }) => [
    name,
    rowsEstimated === null ? 'unknown' : `~${count(rowsEstimated)}`,
    bytes(size),
    identified
      ? key.join(', ') || 'none: its changes are appended'
      : 'none: left out, see the file',
  ]);
  return [
    `${server}: ${tables.length} tables`,
    ...table(
      [
        { title: 'TABLE' },
        { title: 'ROWS', align: 'right' },
        { title: 'SIZE', align: 'right' },
        { title: 'KEY' },
      ],
      rows,
    ),
    ...(walLevel === 'logical'
      ? []
      : [
          '',
          `wal_level is ${walLevel}; capturing needs logical, and a restart of the server:`,
          "  ALTER SYSTEM SET wal_level = 'logical';",
        ]),
  ];
}

function next(options: InitOptions, context: CliContext): string[] {
  const config = options.config === 'millrace.yaml' ? '' : ` --config ${options.config}`;
  const export_ =
    options.url !== undefined &&
    whatToWrite(options, context) === '${DATABASE_URL}' &&
    context.environment['DATABASE_URL'] !== options.url;
  return [
    `wrote ${options.config}; next:`,
    ...(export_
      ? ['  export DATABASE_URL=…   the URL you gave; its password is not in the file']
      : []),
    `  millrace validate${config}    whether the source can be captured, and the SQL for what it lacks`,
    `  millrace plan${config}        what will be captured and created`,
    `  millrace run${config}         copy the tables, then follow every change`,
  ];
}
