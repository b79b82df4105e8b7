import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Shell } from '../tests/support/shell.ts';

const shell = new Shell();

describe('init', () => {
  test('writes a commented configuration that validates, with the tables that can be captured', async () => {
    const { code, out } = await shell.millrace('init');
    expect(code).toBe(0);
    expect(out).toMatch(/public\.customers\s+~500\s+[\d.]+ KiB\s+id\n/);
    expect(out).toMatch(/public\.visits\s+~0\s+0 B\s+none: left out, see the file\n/);
    const written = readFileSync(join(shell.folder, 'millrace.yaml'), 'utf8');
    expect(written).toContain('url: ${DATABASE_URL}');
    expect(written).toContain('- public.customers # ~500 rows');
    expect(written).toMatch(/- "public\.order lines" # ~700 rows, .* key order, line\n/);
    expect(written).toMatch(
      /# - public\.visits #.*; first: ALTER TABLE "public"\."visits" REPLICA IDENTITY FULL;\n/,
    );
    expect(await shell.millrace('validate')).toMatchObject({ code: 0, err: '' });
    // Each comment is an option that can be switched on as it stands.
    const switchedOn = written
      .replaceAll(/^( *)# (\w+): (\S.*)$/gm, '$1$2: $3')
      .replaceAll(/^# ?((broker|http):|  (kind|path|port):.*)$/gm, '$1');
    writeFileSync(join(shell.folder, 'all.yaml'), switchedOn);
    expect(await shell.millrace('validate', '-c', 'all.yaml')).toMatchObject({ code: 0, err: '' });
  });

  test('overwrites nothing unless it is told to', async () => {
    writeFileSync(join(shell.folder, 'millrace.yaml'), 'mine');
    const refused = await shell.millrace('init');
    expect(refused.code).toBe(2);
    expect(refused.err).toContain('error CONFIG_EXISTS');
    expect(readFileSync(join(shell.folder, 'millrace.yaml'), 'utf8')).toBe('mine');
    expect(await shell.millrace('init', '--force')).toMatchObject({ code: 0 });
  });

  test('writes no password that came with --url', async () => {
    await shell.millrace('init', '--url', shell.database.url);
    const written = readFileSync(join(shell.folder, 'millrace.yaml'), 'utf8');
    expect(written).toContain('url: ${DATABASE_URL}');
    expect(written).not.toContain(new URL(shell.database.url).password);
  });

  test('says what is wrong with the server', async () => {
    const closed = await shell.millrace('init', '--url', 'postgres://nobody@127.0.0.1:1/none');
    expect(closed.code).toBe(3);
    expect(closed.err).toContain('error SOURCE_UNREACHABLE');
  });
});

describe('errors', () => {
  test('a mistake in the file is shown with its line, and as data with --json', async () => {
    shell.configured('partitoins: 3\n');
    const text = await shell.millrace('validate');
    expect(text).toMatchObject({ code: 2, out: '' });
    expect(text.err).toContain('millrace.yaml:14:1: unknown option `partitoins`');
    expect(text.err).toContain('did you mean `partitions`?');
    const data = await shell.millrace('validate', '--json');
    expect(data).toMatchObject({ code: 2, err: '' });
    expect(JSON.parse(data.out)).toMatchObject({
      error: { code: 'CONFIG_INVALID', mistakes: [{ line: 14, column: 1, length: 10 }] },
    });
  });

  test.each([
    [['run'], 2, 'CONFIG_MISSING'],
    [['frobnicate'], 2, 'USAGE'],
    [['status', '--wach'], 2, 'USAGE'],
    [['query'], 2, 'USAGE'],
  ])('millrace %j ends with %i and %s', async (args, code, name) => {
    const ended = await shell.spawned(...args);
    expect(ended).toMatchObject({ code, out: '' });
    expect(ended.err).toContain(`error ${name}`);
  });

  test('a pipeline that has never run has no status', async () => {
    shell.configured();
    expect(await shell.millrace('status')).toMatchObject({ code: 1 });
  });

  test('validate never shows a password', async () => {
    shell.configured();
    const { out } = await shell.millrace('validate', '--json');
    expect(out).toContain('"pipeline":"shop"');
    expect(out).not.toContain(new URL(shell.database.url).password);
  });
});
