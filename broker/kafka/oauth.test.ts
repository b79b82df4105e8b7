import { expect, test } from 'vitest';
import { tokenProvider } from './oauth.ts';

const credentials = {
  tokenEndpoint: 'https://login.example.com/token',
  clientId: 'millrace',
  clientSecret: 'p&ss',
  scope: 'kafka',
};

/** Answers in turn, and remembers what it was asked. */
function endpoint(...answers: readonly { status: number; body: unknown }[]) {
  const asked: { readonly url: string; readonly init: RequestInit }[] = [];
  const ask: typeof fetch = async (url, init = {}) => {
    asked.push({ url: new Request(url).url, init });
    const { status, body } = answers[asked.length - 1] ?? { status: 500, body: null };
    return Response.json(body, { status });
  };
  return { asked, ask };
}

test('a token is asked for as RFC 6749 says, and again when it is about to end', async () => {
  const { asked, ask } = endpoint(
    { status: 200, body: { access_token: 'first', expires_in: 300 } },
    { status: 200, body: { access_token: 'second', expires_in: 300 } },
  );
  let now = 0;
  const provide = tokenProvider(credentials, { ask, now: () => now });
  expect(await provide()).toEqual({ value: 'first' });
  now = 200_000;
  expect(await provide()).toEqual({ value: 'first' });
  now = 280_000;
  expect(await provide()).toEqual({ value: 'second' });
  expect(asked).toHaveLength(2);
  const { url, init } = asked[0] ?? { url: '', init: {} };
  expect(url).toBe(credentials.tokenEndpoint);
  expect(init.body).toEqual(
    new URLSearchParams({ grant_type: 'client_credentials', scope: 'kafka' }),
  );
  expect(new Headers(init.headers).get('authorization')).toBe(
    `Basic ${Buffer.from('millrace:p%26ss').toString('base64')}`,
  );
});

test.each([
  { status: 401, body: {} },
  { status: 200, body: { error: 'none' } },
  { status: 200, body: null },
])('an answer without a token is said with a code: %j', async (answer) => {
  const { ask } = endpoint(answer);
  await expect(tokenProvider(credentials, { ask })()).rejects.toMatchObject({
    code: 'BROKER_AUTH',
    place: credentials.tokenEndpoint,
  });
});

test('an endpoint that does not answer is said with a code, and asked again the next time', async () => {
  const { ask } = endpoint({ status: 200, body: { access_token: 'now' } });
  let down = true;
  const provide = tokenProvider(credentials, {
    ask: (...args) => (down ? Promise.reject(new TypeError('fetch failed')) : ask(...args)),
  });
  await expect(provide()).rejects.toMatchObject({ code: 'BROKER_AUTH' });
  down = false;
  expect(await provide()).toEqual({ value: 'now' });
});
