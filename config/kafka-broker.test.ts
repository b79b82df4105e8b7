import { expect, test } from 'vitest';
import { parseConfig } from '../config.ts';

const rest = `
source: { kind: postgres, url: postgres://localhost/shop, tables: [public.orders] }
sinks: [{ kind: duckdb, path: ./shop.duckdb }]
`;

function parse(broker: string) {
  const text = `pipeline: shop\nbroker: { kind: kafka, ${broker} }${rest}`;
  return parseConfig(text, { file: 'millrace.yaml', environment: { SECRET: 's3cret' } });
}

function mistakes(broker: string): string {
  try {
    parse(broker);
  } catch (error) {
    return error instanceof Error ? error.message : '';
  }
  return 'no mistake';
}

test('a cluster needs an address, and has defaults for everything else', () => {
  expect(parse('brokers: [localhost:9092, "[::1]:9093"]').broker).toEqual({
    kind: 'kafka',
    brokers: ['localhost:9092', '[::1]:9093'],
    path: './.millrace',
    clientId: 'millrace',
    compression: 'zstd',
    recordBytesMax: 8 * 1024 * 1024,
    sessionTimeout: 15_000,
    transactionTimeout: 30_000,
    compatibility: 'none',
  });
});

test('TLS and authentication are groups of their own, with secrets from the environment', () => {
  const { broker } = parse(
    'brokers: [kafka:9093], rack: eu-1a, tls: { ca: ./ca.pem }, ' +
      'sasl: { mechanism: scram-sha-512, username: millrace, password: "${SECRET}" }',
  );
  expect(broker).toMatchObject({
    rack: 'eu-1a',
    tls: { enabled: true, ca: './ca.pem' },
    sasl: { mechanism: 'scram-sha-512', username: 'millrace', password: 's3cret' },
  });
});

test.each([
  ['brokers: []', '`broker.brokers` cannot be an empty list'],
  ['brokers: [localhost]', 'host:port, such as kafka:9092'],
  ['brokers: [http://localhost:8082]', 'host:port, such as kafka:9092'],
  ['brokers: [a:1], compression: snappy', 'one of: zstd, gzip, none'],
  ['brokers: [a:1], sasl: { mechanism: plain, username: u }', '`broker.sasl.password` is missing'],
  ['brokers: [a:1], sasl: { mechanism: oauthbearer }', '`broker.sasl.tokenEndpoint` is missing'],
  ['brokers: [a:1], tls: { cert: ./c.pem }', '`broker.tls.key` is missing'],
  ['brokers: [a:1], fsync: true', 'unknown option `fsync`'],
])('%s is a mistake', (broker, said) => {
  expect(mistakes(broker)).toContain(said);
});
