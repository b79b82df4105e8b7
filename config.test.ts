import { describe, expect, test } from 'vitest';
import { parseConfig } from './config.ts';
import { MillraceError } from './errors.ts';

const shop = `pipeline: shop
source:
  kind: postgres
  url: \${DATABASE_URL}
  tables: [public.customers, public.orders]
sinks:
  - kind: duckdb
    path: ./shop.duckdb
    tables:
      public.orders: { mode: merge, delete: soft }
`;

const environment = { DATABASE_URL: 'postgres://app:secret@db/shop', WORKERS: '8' };

function parse(text: string, env: Record<string, string | undefined> = environment) {
  return parseConfig(text, { file: 'millrace.yaml', environment: env });
}

/** The shop with one line changed, or added at the end. */
function shopWith(line: string): string {
  const [name = ''] = line.split(':');
  return shop.includes(`\n${name}:`)
    ? shop.replace(new RegExp(`\n${name}:.*`), `\n${line}`)
    : `${shop}${line}\n`;
}

function mistakeIn(text: string, env?: Record<string, string | undefined>): string {
  return errorOf(text, env).message;
}

function errorOf(text: string, env?: Record<string, string | undefined>): MillraceError {
  try {
    parse(text, env);
  } catch (error) {
    if (error instanceof MillraceError) return error;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

describe('a valid file', () => {
  test('gets its defaults, units as numbers and variables from the environment', () => {
    expect(parse(shop)).toEqual({
      pipeline: 'shop',
      broker: { kind: 'embedded', path: './.millrace', fsync: true, compatibility: 'none' },
      source: {
        kind: 'postgres',
        url: 'postgres://app:secret@db/shop',
        tables: ['public.customers', 'public.orders'],
        filters: {},
        columns: {},
        snapshotConcurrency: 1,
        heartbeatInterval: 10_000,
        slotFailover: false,
        slotPolicy: 'warn',
        slotWarnBytes: 4 * 1024 ** 3,
        messagePrefixInclude: ['*'],
        messagePrefixExclude: [],
        provideTransactionMetadata: false,
        includeSchemaChanges: false,
        tombstones: true,
        decimalHandling: 'precise',
        timePrecision: 'adaptive',
        intervalHandling: 'numeric',
        hstoreHandling: 'json',
        binaryHandling: 'bytes',
        nameAdjustment: 'avro',
      },
      sinks: [
        {
          kind: 'duckdb',
          name: 'duckdb',
          path: './shop.duckdb',
          mode: 'merge',
          delete: 'hard',
          tables: { 'public.orders': { mode: 'merge', delete: 'soft' } },
          allow: {},
          batchRowsMax: 100_000,
          evolution: 'evolve',
          batchBytesMax: 32 * 1024 * 1024,
          memoryLimit: 256 * 1024 * 1024,
        },
      ],
      partitions: 1,
      topics: {
        rawRetention: 7 * 86_400_000,
        changesRetention: null,
        tombstoneRetention: 7 * 86_400_000,
      },
      http: { host: '127.0.0.1' },
      log: { level: 'info' },
      drainTimeout: 30_000,
    });
  });

  test('takes a number or a flag from a variable, and a default where it is not set', () => {
    const text = `${shop}partitions: \${WORKERS}\ndrainTimeout: \${DRAIN:90s}\nbroker: { kind: embedded, fsync: "\${SYNC:false}" }\n`;
    const config = parse(text);
    expect(config.partitions).toBe(8);
    expect(config.drainTimeout).toBe(90_000);
    expect(config.broker).toMatchObject({ fsync: false });
  });

  test('keeps a variable as text with two dollars, and never reads YAML out of one', () => {
    const odd = '{ a: b }\n# not a comment';
    const config = parse(
      `${shop}http: { host: "\${HOST}" }\nbroker:\n  kind: embedded\n  path: $\${HOME}\n`,
      {
        ...environment,
        HOST: odd,
      },
    );
    expect(config.http.host).toBe(odd);
    expect(config.broker.path).toBe('${HOME}');
  });
});

describe('a mistake is shown with its place, its line and what was expected', () => {
  test('an unknown option, with the one that was meant', () => {
    expect(mistakeIn(shopWith('drainTimeOut: 10s'))).toBe(`\
millrace.yaml:11:1: unknown option \`drainTimeOut\`
 11 | drainTimeOut: 10s
    | ^^^^^^^^^^^^
      expected one of: pipeline, broker, source, sinks, partitions, topics, http, log, drainTimeout
      did you mean \`drainTimeout\`?`);
  });

  test('a required option with a slip in it is one mistake, not two', () => {
    expect(mistakeIn(shop.replace('  tables: [', '  tabels: ['))).toBe(`\
millrace.yaml:5:3: unknown option \`tabels\`
 5 |   tabels: [public.customers, public.orders]
   |   ^^^^^^
     expected one of: kind, url, host, port, user, password, database, sslmode, tables, slot, publication, filters, columns, hashKey, snapshotConcurrency, heartbeatInterval, slotWarnBytes, slotFailover, slotPolicy, messagePrefixInclude, messagePrefixExclude, provideTransactionMetadata, includeSchemaChanges, tombstones, decimalHandling, timePrecision, intervalHandling, hstoreHandling, binaryHandling, nameAdjustment
     did you mean \`tables\`?`);
  });

  test('a missing option', () => {
    expect(mistakeIn(shop.replace('    path: ./shop.duckdb\n', ''))).toBe(`\
millrace.yaml:7:5: \`sinks[0].path\` is missing
 7 |   - kind: duckdb
   |     ^
     expected a file`);
  });

  test('a word that is none of those allowed, also in YAML’s short form', () => {
    expect(mistakeIn(shop.replace('mode: merge', 'mode: megre'))).toBe(`\
millrace.yaml:10:30: \`sinks[0].tables.public.orders.mode\` cannot be \`megre\`
 10 |       public.orders: { mode: megre, delete: soft }
    |                              ^^^^^
      expected one of: merge, append
      did you mean \`merge\`?`);
  });

  test('a kind that does not exist', () => {
    expect(mistakeIn(shop.replace('kind: postgres', 'kind: postgrse'))).toBe(`\
millrace.yaml:3:9: \`source.kind\` cannot be \`postgrse\`
 3 |   kind: postgrse
   |         ^^^^^^^^
     expected kind: postgres
     did you mean \`postgres\`?`);
  });

  test.each([
    ['partitions: 0', '`partitions` cannot be `0`', 'a whole number from 1 to 256'],
    ['partitions: 2.5', '`partitions` cannot be `2.5`', 'a whole number from 1 to 256'],
    ['partitions: many', '`partitions` cannot be `many`', 'a whole number from 1 to 256'],
    ['drainTimeout: 10', '`drainTimeout` cannot be `10`', 'a duration such as 500ms, 10s'],
    ['drainTimeout:', '`drainTimeout` is empty', 'a duration such as 500ms, 10s'],
    ['topics: { rawRetention: forever }', 'cannot be `forever`', 'or never'],
    ['http: [8090]', '`http` cannot be a list', 'options, each on a line of its own'],
    ['broker: { kind: embedded, fsync: maybe }', 'cannot be `maybe`', 'true or false'],
    ['pipeline: Shop', '`pipeline` cannot be `Shop`', 'lower-case letters, digits and underscores'],
  ])('%s', (line, message, expected) => {
    const shown = mistakeIn(
      line.startsWith('pipeline') ? shop.replace('pipeline: shop', line) : shopWith(line),
    );
    expect(shown).toContain(message);
    expect(shown).toContain(expected);
    expect(shown.split('\n\n')).toHaveLength(1);
  });

  test('a size without its unit', () => {
    const text = shop.replace('    tables:', '    batchBytesMax: 4\n    tables:');
    expect(mistakeIn(text)).toContain('expected a size such as 64KiB, 4MiB or 1GiB');
  });

  test('a variable that is not set', () => {
    expect(mistakeIn(shop, { DATABASE_URI: 'x' })).toBe(`\
millrace.yaml:4:8: the environment variable DATABASE_URL is not set
 4 |   url: \${DATABASE_URL}
   |        ^^^^^^^^^^^^^^^
     expected it to be set, or a default: \${DATABASE_URL:default}
     did you mean \`DATABASE_URI\`?`);
  });

  test('a variable in braces without quotes, which is not YAML', () => {
    expect(mistakeIn(shopWith('http: { port: ${PORT} }'))).toContain(
      'expected quotes around "${…}" where it stands inside { } or [ ]',
    );
  });

  test('a key that is there twice', () => {
    expect(mistakeIn(`${shop}pipeline: other\n`)).toContain(
      'millrace.yaml:11:1: this is not YAML: Map keys must be unique',
    );
  });

  test('a sink table that the source does not capture, with the one that was meant', () => {
    const shown = mistakeIn(shop.replace('      public.orders:', '      public.order:'));
    expect(shown).toContain('millrace.yaml:10:7: public.order is not captured by the source');
    expect(shown).toContain('did you mean `public.orders`?');
  });

  test('two sinks with one name', () => {
    const text = `${shop}  - kind: duckdb\n    path: ./other.duckdb\n`;
    expect(mistakeIn(text)).toContain('two sinks are named duckdb');
  });

  test('changes that are forgotten before rows which move between partitions are looked up', () => {
    const short = `${shop}topics: { rawRetention: 7d, changesRetention: 1d }\n`;
    expect(mistakeIn(`${short}partitions: 2\n`)).toContain(
      'millrace.yaml:11:47: `.changes` topics forget before raw topics do',
    );
    expect(parse(short).partitions).toBe(1);
    const long = `${shop}topics: { changesRetention: 7d }\npartitions: 2\n`;
    expect(parse(long).partitions).toBe(2);
  });

  test('an empty file and a file that holds something else', () => {
    expect(mistakeIn('')).toContain('`pipeline` is missing');
    expect(mistakeIn('- a\n- b\n')).toContain('the file cannot be a list');
  });

  test('all mistakes at once, in the order of the file', () => {
    const text = shop
      .replace('pipeline: shop', 'pipeline: 7up')
      .replace('kind: duckdb', 'kind: duckbd')
      .concat('partitions: none\n');
    const error = errorOf(text, {});
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.place).toBe('millrace.yaml:1:11');
    expect(error.cause).toMatchObject([{ line: 1 }, { line: 4 }, { line: 7 }, { line: 11 }]);
  });

  test('a password in the line shown is hidden', () => {
    const text = shop.replace('url: ${DATABASE_URL}', 'url: { a: postgres://app:hunter2@db/shop }');
    const shown = mistakeIn(text);
    expect(shown).toContain('postgres://app:*******@db/shop');
    expect(shown).not.toContain('hunter2');
  });
});
