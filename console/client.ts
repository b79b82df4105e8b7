import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { json } from 'node:stream/consumers';
import type { CopyRequest } from '../connectors/connector.ts';
import { codes, type ErrorCode, MillraceError } from '../errors.ts';
import type { QueryResult } from '../runtime/components.ts';
import type { Delivery } from '../runtime/deliveries.ts';
import type { Status } from '../runtime/status.ts';
import type { TableShape } from '../schemas/envelope.ts';
import type { PendingChange } from '../sinks/evolution.ts';
import type { RebuildFrom } from '../sinks/sink.ts';
import type { TargetOptions } from '../sinks/target.ts';
import { readRunFile, type RunFile } from './run-file.ts';

const ANSWER_MS_MAX = 5_000;
/** Rows are counted for the answer. */
const COUNT_MS_MAX = 60_000;

/** A pipeline that runs in another process on this machine. */
export interface Remote {
  readonly url: string;
  status(): Promise<Status>;
  deliveries(): Promise<readonly Delivery[]>;
  query(
    sql: string,
    options: { readonly sink: string; readonly rowsMax: number },
  ): Promise<QueryResult>;
  /** Resumes a table, in all sinks if none is named. */
  resume(of: { readonly table: string; readonly sink?: string | undefined }): Promise<void>;
  /** Rebuilds a table; resolves when it is in its place. */
  rebuild(of: {
    readonly table: string;
    readonly from: RebuildFrom;
    readonly sink?: string | undefined;
  }): Promise<void>;
  /** What the next rows of a table will do to its columns in a sink. */
  pending(of: {
    readonly sink: string;
    readonly options: TargetOptions;
    readonly shape: TableShape;
  }): Promise<PendingChange | null>;
  /** Resolves when the request is durable. */
  copy(request: CopyRequest): Promise<void>;
}

/**
 * Finds the process that runs a pipeline by the file in its broker's folder. Null if there is none:
 * no file, or one left behind by a process that has ended.
 */
export async function findRunning(
  folder: string,
  pipeline: string,
  signal: AbortSignal,
): Promise<Remote | null> {
  const file = await readRunFile(folder);
  if (file === null) return null;
  const remote = connect(file, signal);
  try {
    const status = await remote.status();
    // The port may have gone to somebody else since.
    return status.pid === file.pid && status.pipeline === pipeline ? remote : null;
  } catch {
    signal.throwIfAborted();
    return null;
  }
}

function connect({ url, token }: RunFile, signal: AbortSignal): Remote {
  const get = async (path: string, timeoutMs = ANSWER_MS_MAX): Promise<unknown> => {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const response = await fetch(`${url}${path}`, { signal: patience });
    return answerOf({ status: response.status, body: await response.json() });
  };
  const post = async (path: string, body: object): Promise<unknown> => {
    const answer = await posted(new URL(`${url}${path}`), { token, body, signal });
    return answerOf(answer);
  };
  return {
    url,
    status: async () => (await get('/status')) as Status,
    deliveries: async () => (await get('/deliveries', COUNT_MS_MAX)) as readonly Delivery[],
    query: async (sql, options) => (await post('/query', { sql, ...options })) as QueryResult,
    async resume(of) {
      await post('/tables/resume', of);
    },
    async rebuild(of) {
      await post('/tables/rebuild', of);
    },
    pending: async (of) => (await post('/pending', of)) as PendingChange | null,
    async copy(request) {
      await post('/snapshot', request);
    },
  };
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Waits as long as it takes: `fetch` would give up after five minutes. */
async function posted(
  url: URL,
  by: { readonly token: string; readonly body: object; readonly signal: AbortSignal },
): Promise<Answer> {
  const { token, body, signal } = by;
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const asked = request(url, { method: 'POST', headers, signal });
  asked.end(JSON.stringify(body));
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, body: await json(response) };
}

function answerOf({ status, body }: Answer): unknown {
  if (status === 200) return body;
  const { error } = body as { readonly error?: unknown };
  if (isCoded(error)) throw new MillraceError(error.code, error.message, error);
  throw new MillraceError('NOT_RUNNING', 'the running pipeline did not answer as expected', {
    place: `status ${status}`,
    expected: 'status 200',
  });
}

interface Coded {
  readonly code: ErrorCode;
  readonly message: string;
  readonly place?: string;
  readonly expected?: string;
  readonly remedy?: string;
}

function isCoded(value: unknown): value is Coded {
  if (typeof value !== 'object' || value === null || !('code' in value)) return false;
  return typeof value.code === 'string' && value.code in codes;
}
