import { readFile } from 'node:fs/promises';
import { MillraceError } from '../../errors.ts';
import { tokenProvider } from './oauth.ts';
import type { Compression, KafkaOptions, Sasl } from './options.ts';

/** The connection as a configuration says it: certificates by their files, names as users know them. */
export interface ConfiguredKafka {
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly rack?: string | undefined;
  readonly tls?: ConfiguredTls | undefined;
  readonly sasl?: ConfiguredSasl | undefined;
  readonly compression: Compression;
  readonly replication?: number | undefined;
  readonly recordBytesMax: number;
  readonly sessionTimeout: number;
  readonly transactionTimeout: number;
}

interface ConfiguredTls {
  readonly enabled: boolean;
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly passphrase?: string | undefined;
  readonly serverName?: string | undefined;
}

interface ConfiguredSasl {
  readonly mechanism: Sasl['mechanism'];
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly tokenEndpoint?: string | undefined;
  readonly clientId?: string | undefined;
  readonly clientSecret?: string | undefined;
  readonly scope?: string | undefined;
}

/** Reads the certificates. Throws BROKER_TLS if one cannot be read. */
export async function kafkaOptions(
  configured: ConfiguredKafka,
  prefix: string,
): Promise<KafkaOptions> {
  const { brokers, clientId, rack, compression, replication, recordBytesMax } = configured;
  const { sessionTimeout, transactionTimeout } = configured;
  const tls = configured.tls?.enabled === true ? await tlsOptions(configured.tls) : undefined;
  const sasl = configured.sasl === undefined ? undefined : saslOptions(configured.sasl);
  return {
    brokers,
    clientId,
    compression,
    recordBytesMax,
    prefix,
    sessionTimeoutMs: sessionTimeout,
    transactionTimeoutMs: transactionTimeout,
    ...(rack === undefined ? {} : { rack }),
    ...(replication === undefined ? {} : { replication }),
    ...(tls === undefined ? {} : { tls }),
    ...(sasl === undefined ? {} : { sasl }),
  };
}

async function tlsOptions({
  ca,
  cert,
  key,
  passphrase,
  serverName,
}: ConfiguredTls): Promise<NonNullable<KafkaOptions['tls']>> {
  const files = { ca, cert, key };
  const read = await Promise.all(
    Object.entries(files).map(async ([name, file]) =>
      file === undefined ? null : ([name, await pem(name, file)] as const),
    ),
  );
  return {
    ...Object.fromEntries(read.filter((one) => one !== null)),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

async function pem(name: string, file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw new MillraceError('BROKER_TLS', `broker.tls.${name} cannot be read.`, {
      place: file,
      expected: 'a PEM file',
      cause,
    });
  }
}

function saslOptions(sasl: ConfiguredSasl): Sasl {
  const { mechanism, username = '', password = '', scope } = sasl;
  if (mechanism !== 'oauthbearer') return { mechanism, username, password };
  const { tokenEndpoint = '', clientId = '', clientSecret = '' } = sasl;
  const credentials = { tokenEndpoint, clientId, clientSecret };
  return {
    mechanism,
    oauthBearerProvider: tokenProvider({
      ...credentials,
      ...(scope === undefined ? {} : { scope }),
    }),
  };
}
