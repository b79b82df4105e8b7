import { createServer as createPlain, request, type RequestListener } from 'node:http';
import { createServer as createSecure, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import type { TestRegistry } from './registry.ts';

/** What stands before a registry, as a gateway does. */
export interface RegistryFront extends AsyncDisposable {
  readonly url: string;
  /** Requests that it let pass. */
  readonly passed: () => number;
  /** From now on, every request is answered with this status, and none is passed on; null for all. */
  refuse(status: number | null): void;
}

export interface FrontOptions {
  /** Only requests with this `Authorization` pass. */
  readonly authorization?: string;
  readonly tls?: ServerOptions;
}

export async function registryFront(
  registry: TestRegistry,
  { authorization, tls }: FrontOptions,
): Promise<RegistryFront> {
  let passed = 0;
  let refusal: number | null = null;
  const front: RequestListener = (from, to) => {
    const denied = authorization !== undefined && from.headers.authorization !== authorization;
    const status = refusal ?? (denied ? 401 : null);
    if (status !== null) {
      from.resume();
      to.writeHead(status, { 'content-type': 'application/json' });
      to.end(JSON.stringify({ error_code: status, message: `refused with ${status}` }));
      return;
    }
    passed++;
    const { method, headers, url } = from;
    const onward = request(
      { host: '127.0.0.1', port: registry.port, method, headers, path: url },
      (answer) => {
        to.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(to);
      },
    );
    onward.on('error', (error) => to.destroy(error));
    from.pipe(onward);
  };
  const server = tls === undefined ? createPlain(front) : createSecure(tls, front);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const { pathname } = new URL(registry.url);
  return {
    url: `${tls === undefined ? 'http' : 'https'}://localhost:${port}${pathname}`,
    passed: () => passed,
    refuse: (status) => {
      refusal = status;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
