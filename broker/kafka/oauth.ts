import { MillraceError } from '../../errors.ts';

export interface ClientCredentials {
  readonly tokenEndpoint: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly scope?: string;
}

const TIMEOUT_MS = 10_000;
/** A token is asked for again when less than this is left of it. */
const LEFT_MS = 30_000;

/**
 * Gives access tokens for OAUTHBEARER: RFC 6749, section 4.4, the grant for clients that are no person.
 *
 * @throws BROKER_AUTH if none is given
 */
export function tokenProvider(
  credentials: ClientCredentials,
  { ask = fetch, now = Date.now }: { ask?: typeof fetch; now?: () => number } = {},
): () => Promise<{ value: string }> {
  let last: { readonly value: string; readonly until: number } | null = null;
  return async () => {
    if (last === null || last.until < now()) last = await token(credentials, ask, now);
    return { value: last.value };
  };
}

async function token(
  { tokenEndpoint, clientId, clientSecret, scope }: ClientCredentials,
  ask: typeof fetch,
  now: () => number,
): Promise<{ value: string; until: number }> {
  const basic = Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`);
  const fields = { grant_type: 'client_credentials', ...(scope === undefined ? {} : { scope }) };
  const refused = (message: string, cause?: unknown): MillraceError =>
    new MillraceError('BROKER_AUTH', message, {
      place: tokenEndpoint,
      expected: 'an access token',
      remedy: 'Check `broker.sasl`: tokenEndpoint, clientId, clientSecret, scope.',
      cause,
    });
  const asked = now();
  const response = await ask(tokenEndpoint, {
    method: 'POST',
    headers: { authorization: `Basic ${basic.toString('base64')}` },
    body: new URLSearchParams(fields),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).catch((cause: unknown) => {
    throw refused('The token endpoint did not answer.', cause);
  });
  if (!response.ok) throw refused(`The token endpoint answered ${response.status}.`);
  const answer: unknown = await response.json().catch(() => null);
  const { access_token: value, expires_in: seconds } = (answer ?? {}) as Record<string, unknown>;
  if (typeof value !== 'string') throw refused('The token endpoint gave no access_token.');
  const lastsMs = typeof seconds === 'number' ? seconds * 1000 : 0;
  return { value, until: asked + lastsMs - LEFT_MS };
}
