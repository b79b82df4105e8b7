import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { silent } from '../../log.ts';
import {
  freshTopic,
  readAll,
  record,
  settings,
  to,
  values,
} from '../../tests/conformance/broker-under-test.ts';
import { type Certificates, certificates } from '../../tests/support/certificates.ts';
import { describeWhere } from '../../tests/support/describe-where.ts';
import { whyNoKafka } from '../../tests/support/kafka-distribution.ts';
import { startKafka, type TestKafka } from '../../tests/support/kafka.ts';
import { setScramPassword } from '../../tests/support/scram-user.ts';
import { Cluster } from './cluster.ts';
import { type ConfiguredKafka, kafkaOptions } from './configured.ts';
import { openKafka } from './kafka.ts';

const reason = whyNoKafka();
const PLAIN = 'org.apache.kafka.common.security.plain.PlainLoginModule';
const SCRAM = 'org.apache.kafka.common.security.scram.ScramLoginModule';
const BEARER = 'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule';

describeWhere(reason, 'security (on a real cluster)', () => {
  let signed: Certificates;
  let files: Certificates['files'];
  let kafka: TestKafka;
  let tokens: Server;

  beforeAll(async () => {
    signed = certificates();
    ({ files } = signed);
    const client = 'listener.name.client';
    kafka = await startKafka({
      protocol: 'SASL_SSL',
      settings: {
        [`${client}.ssl.keystore.type`]: 'PEM',
        [`${client}.ssl.keystore.location`]: files.server,
        [`${client}.ssl.truststore.type`]: 'PEM',
        [`${client}.ssl.truststore.location`]: files.ca,
        [`${client}.ssl.client.auth`]: 'required',
        [`${client}.sasl.enabled.mechanisms`]: 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
        [`${client}.plain.sasl.jaas.config`]: `${PLAIN} required user_alice="secret";`,
        [`${client}.scram-sha-256.sasl.jaas.config`]: `${SCRAM} required;`,
        [`${client}.scram-sha-512.sasl.jaas.config`]: `${SCRAM} required;`,
        [`${client}.oauthbearer.sasl.jaas.config`]: `${BEARER} required unsecuredLoginStringClaim_sub="kafka";`,
      },
    });
    await using inner = new Cluster({ brokers: kafka.nodes.map((node) => node.innerAddress) });
    for (const hash of ['sha256', 'sha512'] as const) {
      const message = setScramPassword({ user: 'alice', password: 'secret', hash });
      await inner.attempt(async () => (await inner.controller()).send(message));
    }
    tokens = createServer((request, response) => {
      const { authorization } = request.headers;
      const known = `Basic ${Buffer.from('alice:secret').toString('base64')}`;
      response.writeHead(authorization === known ? 200 : 401);
      response.end(JSON.stringify({ access_token: unsecuredToken(), expires_in: 300 }));
    }).listen(0, '127.0.0.1');
    await once(tokens, 'listening');
  });
  afterAll(async () => {
    tokens?.close();
    await kafka?.[Symbol.asyncDispose]();
    signed[Symbol.dispose]();
  });

  const connection = (rest: Partial<ConfiguredKafka>): ConfiguredKafka => ({
    brokers: kafka.brokers,
    clientId: 'millrace',
    compression: 'zstd',
    recordBytesMax: 1024 * 1024,
    sessionTimeout: 6_000,
    transactionTimeout: 10_000,
    tls: { enabled: true, ca: files.ca, cert: files.clientCert, key: files.clientKey },
    ...rest,
  });
  const open = async (rest: Partial<ConfiguredKafka>) =>
    openKafka(await kafkaOptions(connection(rest), ''), silent);
  const bearer = (clientSecret: string) => ({
    mechanism: 'oauthbearer' as const,
    tokenEndpoint: `http://127.0.0.1:${(tokens.address() as AddressInfo).port}/token`,
    clientId: 'alice',
    clientSecret,
  });

  test.each(['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'] as const)(
    'a client that proves itself by %s over TLS, with a certificate of its own, publishes and reads',
    async (mechanism) => {
      const sasl =
        mechanism === 'oauthbearer'
          ? bearer('secret')
          : { mechanism, username: 'alice', password: 'secret' };
      await using broker = await open({ sasl });
      const topic = freshTopic();
      await broker.createTopics([settings(topic)]);
      await broker.publish([to(topic, 0, [record('k', mechanism)])]);
      expect(values(await readAll(broker, topic))).toEqual([mechanism]);
    },
  );

  test.each(['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'] as const)(
    'a wrong secret for %s is said at once, with a code',
    async (mechanism) => {
      const sasl =
        mechanism === 'oauthbearer'
          ? bearer('wrong')
          : { mechanism, username: 'alice', password: 'wrong' };
      await expect(open({ sasl })).rejects.toMatchObject({ code: 'BROKER_AUTH' });
    },
  );

  test('a cluster whose authority is not trusted is refused, with a code', async () => {
    const sasl = { mechanism: 'plain' as const, username: 'alice', password: 'secret' };
    const tls = { enabled: true, cert: files.clientCert, key: files.clientKey };
    await expect(open({ sasl, tls })).rejects.toMatchObject({ code: 'BROKER_TLS' });
  });

  test('a certificate file that is not there is named', async () => {
    const tls = { enabled: true, ca: '/nowhere/none.pem' };
    await expect(open({ tls })).rejects.toMatchObject({
      code: 'BROKER_TLS',
      place: '/nowhere/none.pem',
    });
  });
});

/** As the server accepts without a key where nothing else is configured: RFC 7515, appendix A.5. */
function unsecuredToken(): string {
  const now = Math.floor(Date.now() / 1000);
  const parts = [{ alg: 'none' }, { sub: 'alice', iat: now, exp: now + 300 }];
  return `${parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.`;
}
