import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import type { ConnectionOptions } from 'node:tls';
import { MillraceError } from '../../errors.ts';
import type { PostgresOptions, SslMode } from './options.ts';

/** Where the server is and who we are, from options, URL and PG* variables, in that order. */
export interface ConnectionSettings {
  /** A folder (it begins with `/`) means a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Null: libpq's password file is asked. */
  readonly password: string | null;
  readonly database: string;
  readonly sslmode: SslMode;
  /** What `tls.connect` gets; null over a Unix socket and with `disable`. */
  readonly tls: ConnectionOptions | null;
  readonly applicationName: string;
  readonly connectTimeoutMs: number;
}

export type ConnectionOptionsGiven = Pick<
  PostgresOptions,
  'url' | 'host' | 'port' | 'user' | 'password' | 'database' | 'sslmode' | 'environment'
> & { readonly connectTimeoutMs?: number };

const MODES: readonly SslMode[] = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'];

/**
 * Reads them as libpq does ("Connection Strings", "Environment Variables", "SSL Support" of its
 * manual). Throws `CONFIG_INVALID`, never with the URL in it.
 */
export function connectionSettings(options: ConnectionOptionsGiven): ConnectionSettings {
  const url = options.url === undefined ? {} : parseUrl(options.url);
  const environment = options.environment ?? {};
  const of = (name: string, variable: string): string | undefined =>
    url[name] || environment[variable] || undefined;

  const host = options.host ?? of('host', 'PGHOST') ?? 'localhost';
  const port = options.port ?? Number(of('port', 'PGPORT') ?? 5432);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw invalid('port', '1 to 65535');
  const user = options.user ?? of('user', 'PGUSER') ?? userInfo().username;
  const sslmode = options.sslmode ?? of('sslmode', 'PGSSLMODE') ?? 'prefer';
  if (!isMode(sslmode)) throw invalid('sslmode', MODES.join(', '));
  return {
    host,
    port,
    user,
    password: options.password ?? of('password', 'PGPASSWORD') ?? null,
    database: options.database ?? of('database', 'PGDATABASE') ?? user,
    sslmode,
    tls: host.startsWith('/') || sslmode === 'disable' ? null : tlsOptions(sslmode, of),
    applicationName: of('application_name', 'PGAPPNAME') ?? 'millrace',
    connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
  };
}

/** `prefer` and `require` do not check the certificate, unless `require` is given a root: libpq's rule. */
function tlsOptions(
  mode: SslMode,
  of: (name: string, variable: string) => string | undefined,
): ConnectionOptions {
  const root = of('sslrootcert', 'PGSSLROOTCERT');
  const certificate = of('sslcert', 'PGSSLCERT');
  const key = of('sslkey', 'PGSSLKEY');
  const checked = mode.startsWith('verify-') || (mode === 'require' && root !== undefined);
  return {
    rejectUnauthorized: checked,
    ...(root === undefined || root === 'system' ? {} : { ca: readPem('sslrootcert', root) }),
    ...(certificate === undefined ? {} : { cert: readPem('sslcert', certificate) }),
    ...(key === undefined ? {} : { key: readPem('sslkey', key) }),
    // The name in the certificate matters to verify-full only.
    ...(mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
  };
}

function readPem(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new MillraceError('CONFIG_INVALID', `The file that ${name} names cannot be read.`, {
      place: path,
      expected: 'a PEM file',
      cause,
    });
  }
}

/** The parts of a URL by name; parameters go over the parts before them (`?host=/run/postgresql`). */
function parseUrl(text: string): Record<string, string> {
  // WHATWG URLs need a host where there is a user; libpq's do not.
  const url = URL.parse(text.replace(/^(postgres(?:ql)?:\/\/[^/?#]*@)(?=[/?])/, '$1none.invalid'));
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol)) {
    throw invalid('url', 'postgres://user:password@host:port/database');
  }
  const host = url.hostname === 'none.invalid' ? '' : url.hostname.replace(/^\[(.*)\]$/, '$1');
  return {
    host: decode(host),
    port: url.port,
    user: decode(url.username),
    password: decode(url.password),
    database: decode(url.pathname.slice(1)),
    ...Object.fromEntries(url.searchParams),
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('url', 'percent-encoded characters, such as %40 for @');
  }
}

function isMode(text: string): text is SslMode {
  return MODES.includes(text as SslMode);
}

function invalid(name: string, expected: string): MillraceError {
  return new MillraceError('CONFIG_INVALID', `The ${name} of the Postgres source is not valid.`, {
    place: `source.${name}`,
    expected,
  });
}
