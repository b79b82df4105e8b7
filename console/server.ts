import { randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type ErrorCode, MillraceError } from '../errors.ts';
import type { Pipeline } from '../runtime/run.ts';
import { obey, type Ordered, orders } from './orders.ts';

/** What the console needs of a pipeline. */
export type Observed = Ordered &
  Pick<
    Pipeline,
    'status' | 'deliveries' | 'metricsText' | 'unhealthy' | 'unready' | 'metrics' | 'captured'
  >;

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly type: string;
}

/** Unless the configuration names one. */
const PORT = 8090;
const BODY_BYTES_MAX = 1024 * 1024;
const GETS = ['/metrics', '/healthz', '/readyz', '/status', '/deliveries', '/tables'];
/** With the token of run.json. */
const POSTS = Object.keys(orders);

/** HTTP beside a running pipeline: what {@link GETS} and {@link POSTS} list. */
export class Console implements AsyncDisposable {
  readonly url: string;
  /** Must come with every `POST`: a page in a browser on this machine does not know it. */
  readonly token: string;
  readonly #server: Server;

  private constructor(server: Server, url: string, token: string) {
    this.#server = server;
    this.url = url;
    this.token = token;
  }

  /** Throws `PORT_IN_USE`. */
  static async open(
    pipeline: Observed,
    address: { readonly host: string; readonly port?: number | undefined },
  ): Promise<Console> {
    const token = randomBytes(24).toString('base64url');
    const server = createServer((request, response) => {
      void respond({ pipeline, token }, request, response);
    });
    await listen(server, { ...address, port: address.port ?? PORT }).catch((error: unknown) => {
      // Nobody asked for that very port.
      if (address.port === undefined) return listen(server, { ...address, port: 0 });
      throw error;
    });
    const { port } = server.address() as AddressInfo;
    const any = address.host === '0.0.0.0' || address.host === '::';
    const reached = any ? 'localhost' : address.host;
    const host = reached.includes(':') ? `[${reached}]` : reached;
    return new Console(server, `http://${host}:${port}`, token);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

async function listen(
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<void> {
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (cause) {
    const place = `${host}:${port}`;
    throw new MillraceError('PORT_IN_USE', 'the console cannot listen', { place, cause });
  }
}

interface Behind {
  readonly pipeline: Observed;
  readonly token: string;
}

async function respond(
  behind: Behind,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  // Whoever goes away before the answer ends the query.
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const answer = await route(behind, request, gone.signal).catch(failure);
  response.writeHead(answer.status, {
    'content-type': answer.type,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(answer.body);
}

async function route(
  { pipeline, token }: Behind,
  request: IncomingMessage,
  signal: AbortSignal,
): Promise<Answer> {
  const { pathname } = new URL(request.url ?? '/', 'http://console');
  const known = [...GETS, ...POSTS];
  if (!known.includes(pathname)) return json(404, { error: `expected one of ${known.join(', ')}` });
  const method = POSTS.includes(pathname) ? ['POST'] : ['GET', 'HEAD'];
  if (!method.includes(request.method ?? '')) return json(405, { error: `expected ${method[0]}` });
  if (POSTS.includes(pathname) && !allowed(request, token)) {
    return json(403, { error: 'expected the token of run.json' });
  }
  switch (pathname) {
    case '/metrics':
      return {
        status: 200,
        body: await pipeline.metricsText(),
        type: pipeline.metrics.contentType,
      };
    case '/healthz':
      return verdict(pipeline.unhealthy());
    case '/readyz':
      return verdict(pipeline.unready(), { degraded: pipeline.tables.degraded() });
    case '/status':
      return json(200, await pipeline.status());
    case '/deliveries':
      return json(200, await pipeline.deliveries(signal));
    case '/tables':
      return json(200, pipeline.captured);
    default: {
      const body: unknown = JSON.parse(await bodyOf(request));
      const { status, value } = await obey(pipeline, { path: pathname, body, signal });
      return json(status, value);
    }
  }
}

function allowed(request: IncomingMessage, token: string): boolean {
  const given = Buffer.from(request.headers.authorization ?? '');
  const expected = Buffer.from(`Bearer ${token}`);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > BODY_BYTES_MAX) throw new SyntaxError('the body is too long');
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

function verdict(reasons: readonly string[], more: object = {}): Answer {
  return json(reasons.length === 0 ? 200 : 503, { ok: reasons.length === 0, reasons, ...more });
}

const ASKED_WRONGLY: readonly ErrorCode[] = [
  'QUERY_FAILED',
  'USAGE',
  'SNAPSHOT_REFUSED',
  'REBUILD_REFUSED',
];

function failure(error: unknown): Answer {
  if (error instanceof MillraceError) {
    const { code, message, place, expected, remedy } = error;
    const status = ASKED_WRONGLY.includes(code) ? 400 : 503;
    return json(status, { error: { code, message, place, expected, remedy } });
  }
  if (error instanceof SyntaxError) return json(400, { error: error.message });
  return json(500, { error: error instanceof Error ? error.message : String(error) });
}

function json(status: number, body: unknown): Answer {
  return { status, body: JSON.stringify(body), type: 'application/json; charset=utf-8' };
}
