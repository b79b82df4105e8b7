import { MillraceError } from '../../errors.ts';
import { KafkaFailure } from './failure.ts';
import { type ApiVersions, type RawConnection, rawConnection } from './kafkajs.ts';
import type { Message } from './message.ts';
import type { KafkaOptions } from './options.ts';
import { WireReader, WireWriter } from './wire.ts';

const REQUEST_TIMEOUT_MS = 30_000;

/** What a cluster must serve at least: KIP-447, which Apache Kafka has since 2.5. */
const REQUIRED: readonly { readonly api: number; readonly version: number }[] = [
  { api: 28, version: 3 },
  { api: 9, version: 7 },
  { api: 1, version: 11 },
  { api: 11, version: 5 },
];

/** One node of the cluster. Connects when it is first used, and again after it was lost. */
export class NodeConnection {
  readonly address: string;
  readonly #raw: Promise<RawConnection>;
  #checked = false;
  #closed = false;

  constructor(options: KafkaOptions, to: { readonly host: string; readonly port: number }) {
    this.address = `${to.host}:${to.port}`;
    this.#raw = rawConnection(options, to);
  }

  /**
   * @throws KafkaFailure as the answer says, `UNREACHABLE` if there is none; BROKER_AUTH, BROKER_TLS,
   * BROKER_VERSION if no connection can be made
   */
  async send<Answer>(message: Message<Answer>): Promise<Answer> {
    const { api, name, version, flexible = false, bytesExpected } = message;
    const timeoutMs = message.timeoutMs ?? REQUEST_TIMEOUT_MS;
    try {
      if (this.#closed) throw new KafkaFailure('UNREACHABLE', `${this.address}: closed`);
      const raw = await this.#raw;
      if (!this.#checked) this.#check(await raw.connect());
      const out = new WireWriter(bytesExpected);
      // The header's tagged fields, which kafkajs knows nothing of.
      if (flexible) out.noTags();
      message.write(out);
      const body = out.out.written();
      const answer = new WireReader(await raw.send({ api, version, name, body, timeoutMs }));
      if (flexible) answer.skipTags();
      return message.read(answer);
    } catch (error) {
      throw this.#understood(error, name);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await (await this.#raw).close();
  }

  #check(versions: ApiVersions): void {
    const lacking = REQUIRED.find(
      ({ api, version }) => (versions[api]?.maxVersion ?? -1) < version,
    );
    if (lacking !== undefined) {
      throw new MillraceError('BROKER_VERSION', 'The cluster is too old.', {
        place: this.address,
        expected: 'Apache Kafka 2.5 or newer, or Redpanda 24.3 or newer',
      });
    }
    this.#checked = true;
  }

  #understood(error: unknown, name: string): unknown {
    if (error instanceof KafkaFailure || error instanceof MillraceError) return error;
    if (!(error instanceof Error)) return error;
    const place = this.address;
    if (error.name === 'KafkaJSSASLAuthenticationError' || error.name === 'KafkaJSNotImplemented') {
      return new MillraceError('BROKER_AUTH', error.message, { place, cause: error });
    }
    const { code } = error as { readonly code?: unknown };
    if (typeof code === 'string' && isOfTls(code)) {
      return new MillraceError('BROKER_TLS', error.message, { place, cause: error });
    }
    if (/^KafkaJS|closed/.test(`${error.name} ${error.message}`)) {
      return new KafkaFailure('UNREACHABLE', `${place}: ${error.message} (${name})`, error);
    }
    return error;
  }
}

/** Codes of certificates that are not trusted, and of handshakes that fail. */
function isOfTls(code: string): boolean {
  return /^(ERR_TLS|ERR_SSL|EPROTO|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO)/.test(code);
}
