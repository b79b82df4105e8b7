import { describe, expect, test } from 'vitest';
import { connectionSettings } from './connection-settings.ts';

function tls(sslmode: string): unknown {
  return connectionSettings({ url: `postgres://me@db/shop?sslmode=${sslmode}` }).tls;
}

describe('connection settings', () => {
  test('come from a URL with everything in it', () => {
    const url = 'postgres://me%40work:p%3Aw@[::1]:6000/shop?sslmode=disable&application_name=mine';
    expect(connectionSettings({ url })).toMatchObject({
      host: '::1',
      port: 6000,
      user: 'me@work',
      password: 'p:w',
      database: 'shop',
      sslmode: 'disable',
      tls: null,
      applicationName: 'mine',
    });
  });

  test('come from a Unix socket URL with and without a user', () => {
    const parameters = '?host=/run/postgresql&port=5433';
    for (const url of [
      `postgres://me@/shop${parameters}`,
      `postgresql:///shop${parameters}&user=me`,
    ]) {
      expect(connectionSettings({ url })).toMatchObject({
        host: '/run/postgresql',
        port: 5433,
        user: 'me',
        database: 'shop',
        tls: null,
      });
    }
  });

  test('fields go over the URL, and the URL over the environment', () => {
    const environment = { PGHOST: 'env', PGUSER: 'env', PGPASSWORD: 'env', PGDATABASE: 'env' };
    const url = 'postgres://url@/shop';
    expect(connectionSettings({ url, environment, database: 'field' })).toMatchObject({
      host: 'env',
      user: 'url',
      password: 'env',
      database: 'field',
    });
  });

  test('check certificates as libpq does', () => {
    expect(tls('require')).toMatchObject({ rejectUnauthorized: false });
    expect(tls('verify-ca')).toMatchObject({
      rejectUnauthorized: true,
      checkServerIdentity: expect.any(Function),
    });
    expect(tls('verify-full')).not.toHaveProperty('checkServerIdentity');
  });

  test('refuse what is wrong without repeating the password', () => {
    for (const url of [
      'http://a:geheim@b/c',
      'postgres://a:geheim@b:99999/c',
      'postgres://a:geheim%@b/c',
    ]) {
      const read = (): unknown => connectionSettings({ url });
      expect(read).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
      expect(read).not.toThrow(/geheim/);
    }
    expect(() => connectionSettings({ url: 'postgres://a@b/c?sslmode=maybe' })).toThrow(/sslmode/);
  });
});
