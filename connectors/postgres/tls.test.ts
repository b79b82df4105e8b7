import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hurried, insert, snapshotTaken, streaming } from '../../tests/support/postgres-items.ts';
import { failure, withItems } from '../../tests/support/postgres-items.ts';
import { startPostgres, type TestPostgres } from '../../tests/support/postgres.ts';

/** Certificates are made with it. */
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

describe.skipIf(!hasOpenssl)('an encrypted connection', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-tls-'));
  const [certificate, key] = [join(folder, 'server.crt'), join(folder, 'server.key')];
  let server: TestPostgres;

  beforeAll(async () => {
    const request = 'req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=db.test';
    execFileSync('openssl', [...request.split(' '), '-keyout', key, '-out', certificate], {
      stdio: 'ignore',
    });
    chmodSync(folder, 0o755);
    chmodSync(key, 0o600);
    server = await startPostgres();
    const { uid, gid } = statSync(server.socketFolder);
    chownSync(key, uid, gid);
    await using database = await server.createDatabase();
    await database.query(`ALTER SYSTEM SET ssl_cert_file = '${certificate}'`);
    await database.query(`ALTER SYSTEM SET ssl_key_file = '${key}'`);
    await database.query('ALTER SYSTEM SET ssl = on');
    await server.stop();
    await server.start();
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  test('carries snapshot and stream, with the certificate checked against its root', async () => {
    await using database = await withItems(server);
    const url = `${database.url}?sslmode=verify-ca&sslrootcert=${certificate}`;
    const options = hurried(database, { url });
    const capture = await snapshotTaken(options);
    await using _ = streaming(options, capture);
    await insert(database, 11, 3000);
    await expect.poll(() => capture.changes.length, { timeout: 10_000 }).toBe(3000);
    const encrypted = await database.query(
      `SELECT s.ssl FROM pg_stat_ssl s JOIN pg_stat_replication r USING (pid)`,
    );
    expect(encrypted).toEqual([{ ssl: true }]);
  });

  test('is refused when the certificate is not what was asked for', async () => {
    await using database = await withItems(server);
    const { last } = await snapshotTaken(hurried(database, { sslmode: 'require' }));
    for (const parameters of ['verify-ca', `verify-full&sslrootcert=${certificate}`]) {
      const url = `${database.url}?sslmode=${parameters}`;
      expect(await failure(hurried(database, { url }), last)).toMatchObject({ code: 'SOURCE_TLS' });
    }
  });
});
