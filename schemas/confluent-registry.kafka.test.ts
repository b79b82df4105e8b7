import { registryConformance } from '../tests/conformance/registry.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { certificates } from '../tests/support/certificates.ts';
import { registryFront } from '../tests/support/registry-front.ts';
import { describeWhere } from '../tests/support/describe-where.ts';
import { whyNoRegistry } from '../tests/support/registry-distribution.ts';
import { allowEverything, startRegistry, type TestRegistry } from '../tests/support/registry.ts';
import { confluentRegistry } from './confluent-registry.ts';
import type { SchemaRegistry } from './registry.ts';

describeWhere(whyNoRegistry(), 'a Confluent registry', () => {
  let server: TestRegistry;
  beforeAll(async () => {
    server = await startRegistry();
  }, 180_000);
  afterAll(() => server[Symbol.asyncDispose]());

  registryConformance('Apicurio', {
    open: async () => {
      let registry: SchemaRegistry = confluentRegistry({ urls: [server.url] });
      return {
        get registry() {
          return registry;
        },
        async reopen() {
          await registry[Symbol.asyncDispose]();
          registry = confluentRegistry({ urls: [server.url] });
        },
        allowEverything: (subject) => allowEverything(server, subject),
        [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose](),
      };
    },
  });

  describe('a registry behind a gateway', () => {
    test('lets in who shows a password or a token, and nobody else', async () => {
      const pair = Buffer.from('etl:s3cret:x').toString('base64');
      const password = { username: 'etl', password: 's3cret:x' };
      const token = { token: 'abc' };
      for (const [authorization, credentials] of [
        [`Basic ${pair}`, password],
        ['Bearer abc', token],
      ] as const) {
        await using front = await registryFront(server, { authorization });
        await using registry = confluentRegistry({ urls: [front.url], credentials });
        expect(await registry.register('gateway-value', 'string')).toBeGreaterThan(0);
        await using stranger = confluentRegistry({ urls: [front.url] });
        await expect(stranger.register('gateway-value', 'string')).rejects.toMatchObject({
          code: 'REGISTRY_AUTH',
        });
        await expect(stranger.byId(1)).rejects.toMatchObject({ code: 'REGISTRY_AUTH' });
      }
    });

    test('is trusted by its certificate, and asks for ours', async () => {
      using pki = certificates();
      const tls = { ca: pki.ca, cert: pki.server.cert, key: pki.server.key };
      await using front = await registryFront(server, {
        tls: { ...tls, requestCert: true, rejectUnauthorized: true },
      });
      const urls = [front.url];
      const { cert, key } = pki.client;
      await using registry = confluentRegistry({ urls, tls: { ca: pki.ca, cert, key } });
      expect(await registry.register('gateway-value', 'string')).toBeGreaterThan(0);
      await using unknown = confluentRegistry({ urls, tls: { ca: pki.ca } });
      await expect(unknown.byId(1)).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
      await using doubting = confluentRegistry({ urls });
      await expect(doubting.byId(1)).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
    });

    test('is asked once for what many want at the same time, and again for what failed', async () => {
      await using front = await registryFront(server, {});
      await using registry = confluentRegistry({ urls: [front.url] });
      const id = await registry.register('gateway-value', 'string');
      const before = front.passed();
      await Promise.all(Array.from({ length: 20 }, () => registry.byId(id)));
      expect(front.passed() - before).toBe(1);
      front.refuse(503);
      await expect(registry.register('gateway-value', 'bytes')).rejects.toMatchObject({
        code: 'REGISTRY_UNREACHABLE',
        message: expect.stringContaining('503'),
      });
      expect(await registry.byId(id)).toBe('string');
      front.refuse(null);
      await using other = confluentRegistry({ urls: [front.url] });
      await allowEverything(server, 'gateway-value');
      expect(await registry.register('gateway-value', 'bytes')).toBe(
        await other.register('gateway-value', 'bytes'),
      );
    });

    test('is found under its second address when the first is gone', async () => {
      const gone = await registryFront(server, {});
      await gone[Symbol.asyncDispose]();
      await using registry = confluentRegistry({ urls: [gone.url, server.url] });
      expect(await registry.register('gateway-value', 'string')).toBeGreaterThan(0);
      await using alone = confluentRegistry({ urls: [gone.url] });
      await expect(alone.byId(1)).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
    });

    test('that is none is said to be none, and a schema that is none is refused', async () => {
      await using other = confluentRegistry({
        urls: [`http://127.0.0.1:${server.port}/elsewhere`],
      });
      await expect(other.register('a', 'string')).rejects.toMatchObject({
        code: 'REGISTRY_REFUSED',
      });
      await using registry = confluentRegistry({ urls: [server.url] });
      const broken = { type: 'record', name: 'not a name', fields: [] } as const;
      await expect(registry.register('broken-value', broken)).rejects.toMatchObject({
        code: 'SCHEMA_INVALID',
      });
    });
  });
});
