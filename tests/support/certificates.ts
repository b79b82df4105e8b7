import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** A root, and certificates of it for `localhost` and for a client, as PEM. Made with openssl. */
export interface Certificates extends Disposable {
  readonly ca: string;
  readonly server: Pair;
  readonly client: Pair;
  /** The same in files; that of the server has its key and its certificate. */
  readonly files: Readonly<Record<'ca' | 'server' | 'clientCert' | 'clientKey', string>>;
}

export function certificates(): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-certificates-'));
  const at = (name: string): string => join(folder, name);
  const fresh = ['-newkey', 'rsa:2048', '-nodes'];
  const root = ['-subj', '/CN=root', '-keyout', at('ca.key'), '-out', at('ca.crt')];
  openssl('req', '-x509', ...fresh, '-days', '2', ...root);
  writeFileSync(at('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  const pair = (name: string): Pair => {
    const [key, request, cert] = [at(`${name}.key`), at(`${name}.csr`), at(`${name}.crt`)];
    openssl('req', ...fresh, '-subj', `/CN=${name}`, '-keyout', key, '-out', request);
    const signing = ['-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial'];
    const names = ['-days', '2', '-extfile', at('names')];
    openssl('x509', '-req', '-in', request, ...signing, ...names, '-out', cert);
    return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
  };
  const [server, client] = [pair('localhost'), pair('client')];
  writeFileSync(at('server.pem'), server.key + server.cert);
  return {
    ca: readFileSync(at('ca.crt'), 'utf8'),
    server,
    client,
    files: {
      ca: at('ca.crt'),
      server: at('server.pem'),
      clientCert: at('client.crt'),
      clientKey: at('client.key'),
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'ignore' });
}
