import { z } from 'zod';
import type { ConfigDocument } from './document.ts';
import { group } from './group.ts';
import type { Mistake } from './mistakes.ts';
import { duration, flag, oneOf, size, text, whole } from './units.ts';

const tls = group({
  enabled: flag().prefault(true).describe('Whether the connection is encrypted.'),
  ca: text('a PEM file')
    .optional()
    .describe("File of the authority that is trusted (PEM); the system's if not given."),
  cert: text('a PEM file').optional().describe('File of the certificate of this client (PEM).'),
  key: text('a PEM file').optional().describe('File of its private key (PEM).'),
  passphrase: text('a secret')
    .optional()
    .describe('Of the private key. Keep it out of the file: ${NAME}.'),
  serverName: text('a host name')
    .optional()
    .describe("Name that the certificates of the nodes must have; each node's own if not given."),
});

const sasl = group({
  mechanism: oneOf(['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer']).describe(
    'How this client proves who it is.',
  ),
  username: text('a user').optional().describe('For plain and scram.'),
  password: text('a password')
    .optional()
    .describe('For plain and scram. Keep it out of the file: ${NAME}.'),
  tokenEndpoint: text('a URL')
    .regex(/^https?:\/\//, 'a URL such as https://login.example.com/oauth2/token')
    .optional()
    .describe('For oauthbearer: where a token is asked for with the two below.'),
  clientId: text('a client').optional().describe('For oauthbearer.'),
  clientSecret: text('a secret')
    .optional()
    .describe('For oauthbearer. Keep it out of the file: ${NAME}.'),
  scope: text('a scope').optional().describe('For oauthbearer, if the server wants one.'),
});

export const kafkaBroker = group({
  kind: z.literal('kafka').describe('Topics on Apache Kafka (2.5 or newer) or Redpanda.'),
  brokers: z
    .array(
      text('host:port').regex(
        /^(\[[0-9a-fA-F:.]+\]|[^\s:,/]+):\d{1,5}$/,
        'host:port, such as kafka:9092',
      ),
      { error: 'a list such as [localhost:9092]' },
    )
    .min(1, 'at least one node, such as [localhost:9092]')
    .describe('Some nodes of the cluster; the others are learnt from them.'),
  path: text('a folder')
    .prefault('./.millrace')
    .describe('Folder of this machine: the registry of schemas, and what can be rebuilt.'),
  clientId: text('a name')
    .prefault('millrace')
    .describe("What the cluster's logs and quotas call this client."),
  rack: text('a rack or zone')
    .optional()
    .describe('Where this process is, so that it reads from a replica nearby.'),
  tls: tls.optional().describe('Encryption; `tls: {}` trusts what the system trusts.'),
  sasl: sasl.optional().describe('Authentication.'),
  compression: oneOf(['zstd', 'gzip', 'none'])
    .prefault('zstd')
    .describe('How records are stored; what others wrote in snappy or lz4 is read as well.'),
  replication: whole(1, 32_767)
    .optional()
    .describe("Copies of each topic that is created; the cluster's default if not given."),
  recordBytesMax: size()
    .prefault('8MiB')
    .describe('Largest record that created topics take, compressed (`max.message.bytes`).'),
  sessionTimeout: duration()
    .prefault('15s')
    .describe('After how long of silence a process counts as gone, and others take its work over.'),
  transactionTimeout: duration()
    .prefault('30s')
    .describe('After how long the cluster undoes what a process that is gone has left unfinished.'),
  compatibility: oneOf(['backward', 'none'])
    .prefault('none')
    .describe(
      'What a new schema of a topic must be able to read: what the last one wrote, or nothing, as sinks decide by table.',
    ),
});

export type KafkaBrokerConfig = z.output<typeof kafkaBroker>;

/** What single fields cannot know: which of them go together. */
export function kafkaMistakes(
  { sasl, tls }: KafkaBrokerConfig,
  document: ConfigDocument,
): Mistake[] {
  const found: Mistake[] = [];
  const missing = (path: readonly string[], name: string, why: string): void => {
    const message = `\`broker.${[...path, name].join('.')}\` is missing`;
    found.push(document.mistake(['broker', ...path], { message, expected: `${name}, for ${why}` }));
  };
  if (sasl !== undefined) {
    const { mechanism } = sasl;
    const needed =
      mechanism === 'oauthbearer'
        ? (['tokenEndpoint', 'clientId', 'clientSecret'] as const)
        : (['username', 'password'] as const);
    for (const name of needed) {
      if (sasl[name] === undefined) missing(['sasl'], name, mechanism);
    }
  }
  if (tls?.cert !== undefined && tls.key === undefined) missing(['tls'], 'key', 'the certificate');
  if (tls?.key !== undefined && tls.cert === undefined) missing(['tls'], 'cert', 'the private key');
  return found;
}
