import { Agent as PlainAgent, request as plainRequest, type RequestOptions } from 'node:http';
import { Agent as SecureAgent, request as secureRequest } from 'node:https';
import { buffer } from 'node:stream/consumers';
import type { SecureContextOptions } from 'node:tls';

/** Who asks: at most one of the two. */
export type Credentials =
  | { readonly username: string; readonly password: string }
  | { readonly token: string };

export interface HttpOptions {
  readonly credentials?: Credentials | undefined;
  /** What to trust, and for mTLS the certificate and key to show, each as PEM. */
  readonly tls?: Pick<SecureContextOptions, 'ca' | 'cert' | 'key' | 'passphrase'> | undefined;
  /** How long an answer may take. */
  readonly timeoutMs: number;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** An answer longer than this is none of a registry's. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/** Requests with JSON to one or more hosts, over connections that are kept. */
export class HttpExchange implements Disposable {
  readonly #options: HttpOptions;
  readonly #closing = new AbortController();
  readonly #plain = new PlainAgent({ keepAlive: true });
  readonly #secure: SecureAgent;

  constructor(options: HttpOptions) {
    this.#options = options;
    this.#secure = new SecureAgent({ keepAlive: true, ...options.tls });
  }

  /** Whatever status came is an answer. Throws what the connection throws, and an `AbortError` when closed. */
  async ask(url: URL, method: 'GET' | 'POST', body?: unknown): Promise<Answer> {
    const secure = url.protocol === 'https:';
    const text = body === undefined ? undefined : JSON.stringify(body);
    const options: RequestOptions = {
      method,
      agent: secure ? this.#secure : this.#plain,
      headers: { accept: JSON_TYPES, ...contentOf(text), ...authorization(this.#options) },
      signal: AbortSignal.any([this.#closing.signal, AbortSignal.timeout(this.#options.timeoutMs)]),
    };
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const request = (secure ? secureRequest : plainRequest)(url, options, (response) => {
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > ANSWER_BYTES_MAX) response.destroy(new Error('the answer is too long'));
      });
      buffer(response).then(
        (read) => resolve({ status: response.statusCode ?? 0, body: read.toString('utf8') }),
        reject,
      );
    });
    request.on('error', reject);
    request.end(text);
    return await promise;
  }

  [Symbol.dispose](): void {
    this.#closing.abort();
    this.#plain.destroy();
    this.#secure.destroy();
  }
}

const JSON_TYPES = 'application/vnd.schemaregistry.v1+json, application/json';

function contentOf(text: string | undefined): Record<string, string | number> {
  if (text === undefined) return {};
  return {
    'content-type': 'application/vnd.schemaregistry.v1+json',
    'content-length': Buffer.byteLength(text),
  };
}

function authorization({ credentials }: HttpOptions): Record<string, string> {
  if (credentials === undefined) return {};
  if ('token' in credentials) return { authorization: `Bearer ${credentials.token}` };
  const pair = Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64');
  return { authorization: `Basic ${pair}` };
}
