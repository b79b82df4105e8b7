import { createRequire } from 'node:module';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import type { KafkaOptions, Sasl } from './options.ts';

/**
 * The parts of kafkajs 2.2.4 that we use: connections, TLS, SASL, API versions, time limits, quotas. What
 * lies above them (batches, transactions, groups, reading) is ours: docs/decisions says why. The package is
 * pinned exactly, as these parts are not its public face.
 */
const require = createRequire(import.meta.url);
const buildPools = require('kafkajs/src/cluster/connectionPoolBuilder') as (
  options: object,
) => PoolBuilder;
const KafkaJsBroker = require('kafkajs/src/broker') as new (options: object) => KafkaJsBroker;
const Encoder = require('kafkajs/src/protocol/encoder') as new (size: number) => KafkaJsEncoder;
const { createLogger } = require('kafkajs/src/loggers') as {
  readonly createLogger: (options: { level: number; logCreator: () => () => void }) => object;
};

interface PoolBuilder {
  build(to: { host: string; port: number }): Promise<KafkaJsPool>;
}

interface KafkaJsEncoder {
  buf: Buffer;
  offset: number;
}

interface KafkaJsRequest {
  readonly request: {
    readonly apiKey: number;
    readonly apiVersion: number;
    readonly apiName: string;
    encode(): Promise<KafkaJsEncoder>;
  };
  readonly response: {
    decode(payload: Buffer): Promise<Buffer>;
    parse(payload: Buffer): Promise<Buffer>;
  };
  readonly requestTimeout: number;
  readonly logResponseError: false;
}

interface KafkaJsPool {
  readonly pool: readonly KafkaJsConnection[];
  send(request: KafkaJsRequest): Promise<Buffer>;
}

interface KafkaJsConnection {
  socket?: Socket;
  readonly requestQueue: KafkaJsQueue;
  connect(): Promise<boolean>;
  rejectRequests(error: Error): void;
  disconnect(): Promise<unknown>;
}

interface KafkaJsQueue {
  readonly pending: readonly unknown[];
  throttledUntil: number;
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  checkPendingRequests(): void;
  scheduleCheckPendingRequests(): void;
}

interface KafkaJsBroker {
  readonly connectionPool: KafkaJsPool;
  readonly versions: ApiVersions | null;
  connect(): Promise<void>;
  isConnected(): boolean;
}

export type ApiVersions = Readonly<
  Record<number, { readonly minVersion: number; readonly maxVersion: number } | undefined>
>;

/** What a request is to kafkajs: its bytes after the header. */
export interface RawRequest {
  readonly api: number;
  readonly version: number;
  readonly name: string;
  readonly body: Buffer;
  readonly timeoutMs: number;
}

/** Connections to one node: one for fetching, which waits, and one for everything else. */
export interface RawConnection {
  /** Connects and authenticates if that is not done. Throws what kafkajs throws. */
  connect(): Promise<ApiVersions>;
  send(request: RawRequest): Promise<Buffer>;
  /** Closes at once; what is under way fails. */
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const NOTHING = 0;

export async function rawConnection(
  options: KafkaOptions,
  to: { readonly host: string; readonly port: number },
): Promise<RawConnection> {
  const logger = createLogger({ level: NOTHING, logCreator: () => () => undefined });
  const pools = buildPools({
    logger,
    socketFactory,
    brokers: options.brokers,
    ssl: options.tls,
    // It keeps its authenticator there: each connection has one of its own.
    sasl: options.sasl === undefined ? undefined : ({ ...options.sasl } satisfies Sasl),
    clientId: options.clientId ?? 'millrace',
    connectionTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    enforceRequestTimeout: true,
  });
  const connectionPool = await pools.build(to);
  for (const connection of connectionPool.pool) {
    quieten(connection.requestQueue);
    connectOnce(connection);
  }
  const settings = { connectionPool, logger, authenticationTimeout: CONNECT_TIMEOUT_MS };
  const broker = new KafkaJsBroker({ ...settings, allowAutoTopicCreation: false });
  // It counts as connected as soon as its socket is, also where the node has not answered what it serves, or
  // never will: that is waited for here, and a connection without it is not kept.
  const open = async (): Promise<ApiVersions> => {
    try {
      await broker.connect();
      if (broker.versions === null) throw new Error('The connection was closed early.');
      return broker.versions;
    } catch (error) {
      await close(connectionPool);
      throw error;
    }
  };
  let opening: Promise<ApiVersions> | null = null;
  const connect = async (): Promise<ApiVersions> => {
    if (opening === null && broker.versions !== null && broker.isConnected())
      return broker.versions;
    return (opening ??= open().finally(() => (opening = null)));
  };
  return {
    connect,
    async send(request) {
      await connect();
      return connectionPool.send(requestOf(request));
    },
    close: () => close(connectionPool),
  };
}

const asItIs = async (payload: Buffer): Promise<Buffer> => payload;

function requestOf({ api, version, name, body, timeoutMs }: RawRequest): KafkaJsRequest {
  return {
    request: { apiKey: api, apiVersion: version, apiName: name, encode: async () => encoder(body) },
    response: { decode: asItIs, parse: asItIs },
    requestTimeout: timeoutMs,
    logResponseError: false,
  };
}

/** An encoder that has written just that, without a copy. */
function encoder(body: Buffer): KafkaJsEncoder {
  const found = new Encoder(1);
  found.buf = body;
  found.offset = body.length;
  return found;
}

async function close({ pool }: KafkaJsPool): Promise<void> {
  await Promise.all(
    pool.map(async (connection) => {
      connection.rejectRequests(new Error('The connection was closed.'));
      await connection.disconnect();
      connection.socket?.destroy();
    }),
  );
}

function socketFactory(options: {
  readonly host: string;
  readonly port: number;
  readonly ssl?: ConnectionOptions;
  readonly onConnect: () => void;
}): Socket {
  const { host, port, ssl, onConnect } = options;
  const name = isIP(host) === 0 ? { servername: host } : {};
  const socket = ssl
    ? connectTls({ host, port, ...name, ...ssl }, onConnect)
    : connectTcp({ host, port }, onConnect);
  // A small request must not wait for the answer to the one before it.
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 60_000);
  return socket;
}

/** As shipped, each request that finds it closed opens a socket of its own, and all but one are forgotten. */
function connectOnce(connection: KafkaJsConnection): void {
  const connect = connection.connect.bind(connection);
  let connecting: Promise<boolean> | null = null;
  connection.connect = () => (connecting ??= connect().finally(() => (connecting = null)));
}

/** As shipped it sets a timer of a negative time after every answer, which polls every millisecond. */
function quieten(queue: KafkaJsQueue): void {
  queue.scheduleCheckPendingRequests = () => {
    if (queue.throttleCheckTimeoutId !== null) return;
    const left = queue.throttledUntil - Date.now();
    if (queue.pending.length === 0 && left <= 0) return;
    queue.throttleCheckTimeoutId = setTimeout(
      () => {
        queue.throttleCheckTimeoutId = null;
        queue.checkPendingRequests();
      },
      Math.max(left, 10),
    );
  };
}
