import type { ConnectionOptions } from 'node:tls';

export interface KafkaOptions {
  /** `host:port` of some nodes; the others are learnt from them. */
  readonly brokers: readonly string[];
  /** What the cluster's logs and quotas call us (default `millrace`). */
  readonly clientId?: string;
  /** Where this process is, so that a replica nearby may be read from. */
  readonly rack?: string;
  readonly tls?: ConnectionOptions;
  readonly sasl?: Sasl;
  /** How records are stored (default `zstd`). */
  readonly compression?: Compression;
  /** Copies of each topic that is created; the cluster's default if not given. */
  readonly replication?: number;
  /** Bytes of the largest record batch that created topics accept (default 8 MiB). */
  readonly recordBytesMax?: number;
  /** After how long of silence a worker counts as gone, and its partitions move (default 15 s). */
  readonly sessionTimeoutMs?: number;
  /** How long the cluster keeps a publish open whose process is gone (default 30 s). */
  readonly transactionTimeoutMs?: number;
  /** `describe` tells of topics and groups whose name begins so, and of our own; of all if not given. */
  readonly prefix?: string;
}

export type Compression = 'none' | 'gzip' | 'zstd';

export type Sasl =
  | {
      readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
      readonly username: string;
      readonly password: string;
    }
  | {
      readonly mechanism: 'oauthbearer';
      readonly oauthBearerProvider: () => Promise<{ value: string }>;
    };
