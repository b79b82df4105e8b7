import { MillraceError } from '../errors.ts';
import type { AvroSchema } from './avro.ts';
import { HttpExchange, type Answer, type HttpOptions } from './http-exchange.ts';
import type { SchemaRegistry } from './registry.ts';

export interface ConfluentOptions extends Partial<HttpOptions> {
  /** Base addresses of one registry; the next is asked when one cannot be reached. */
  readonly urls: readonly string[];
}

/** Ids that are remembered; beyond it, the oldest is asked for again. */
const REMEMBERED_MAX = 10_000;

/**
 * A registry that speaks Confluent's HTTP interface: Confluent's own, Redpanda's, Apicurio's `ccompat`.
 * See https://docs.confluent.io/platform/current/schema-registry/develop/api.html
 *
 * Throws, besides what the port says, `REGISTRY_UNREACHABLE`, `REGISTRY_AUTH`, `REGISTRY_REFUSED` and
 * `SCHEMA_INVALID`. An id is asked for once, however many ask at the same time.
 */
export function confluentRegistry(options: ConfluentOptions): SchemaRegistry {
  return new ConfluentRegistry(options);
}

class ConfluentRegistry implements SchemaRegistry {
  readonly #bases: readonly URL[];
  readonly #http: HttpExchange;
  readonly #schemas = new Map<number, Promise<AvroSchema>>();
  readonly #ids = new Map<string, Promise<number>>();
  /** The address that answered last. */
  #at = 0;

  constructor({ urls, ...options }: ConfluentOptions) {
    this.#bases = urls.map((url) => new URL(url.endsWith('/') ? url : `${url}/`));
    this.#http = new HttpExchange({ timeoutMs: 30_000, ...options });
  }

  register(subject: string, schema: AvroSchema): Promise<number> {
    const text = written(schema);
    return once(this.#ids, `${subject}\n${text}`, async () => {
      const path = `subjects/${encodeURIComponent(subject)}/versions`;
      const answer = await this.#ask(path, { schema: text });
      const { id } = this.#read(answer, `subject ${subject}`) as { id?: unknown };
      if (typeof id !== 'number') throw unexpected(answer, `subject ${subject}`);
      return id;
    });
  }

  byId(id: number): Promise<AvroSchema> {
    return once(this.#schemas, id, async () => {
      const place = `schema ${id}`;
      const answer = await this.#ask(`schemas/ids/${id}`);
      if (answer.status === 404) {
        throw new MillraceError('SCHEMA_UNKNOWN', `There is no schema with id ${id}.`, { place });
      }
      const { schema, schemaType = 'AVRO' } = this.#read(answer, place) as Record<string, unknown>;
      if (typeof schema !== 'string' || typeof schemaType !== 'string') {
        throw unexpected(answer, place);
      }
      if (schemaType !== 'AVRO') {
        throw new MillraceError('SCHEMA_INVALID', `It is of type ${schemaType}.`, {
          place,
          expected: 'an Avro schema',
        });
      }
      return parsed(schema) as AvroSchema;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#http[Symbol.dispose]();
  }

  /** Asks the address that answered last, then the others. */
  async #ask(path: string, body?: unknown): Promise<Answer> {
    let failure: unknown;
    for (let tried = 0; tried < this.#bases.length; tried++) {
      const base = this.#bases[this.#at];
      if (base === undefined) break;
      try {
        const method = body === undefined ? 'GET' : 'POST';
        const answer = await this.#http.ask(new URL(path, base), method, body);
        if (answer.status < 500 && answer.status !== 429) return answer;
        failure = new Error(`it answered with ${answer.status}`);
      } catch (error) {
        failure = error;
      }
      this.#at = (this.#at + 1) % this.#bases.length;
    }
    const cause = failure instanceof Error ? failure.message : String(failure);
    throw new MillraceError('REGISTRY_UNREACHABLE', `No answer from the registry: ${cause}.`, {
      place: this.#bases.map(({ host }) => host).join(', '),
      cause: failure,
    });
  }

  /** What an answer holds, or the error it is. */
  #read(answer: Answer, place: string): unknown {
    const { status, body } = answer;
    if (status >= 200 && status < 300) return parsed(body);
    const { message = `HTTP status ${status}` } = (parsed(body) ?? {}) as { message?: string };
    switch (status) {
      case 401:
      case 403:
        throw new MillraceError('REGISTRY_AUTH', message, { place });
      case 409:
        throw new MillraceError('SCHEMA_INCOMPATIBLE', message, {
          place,
          expected: 'a schema that the rule of its subject allows',
          remedy:
            'Lift the rule of this subject in the registry (compatibility NONE) and start again, or undo the change in the source.',
        });
      case 422:
        throw new MillraceError('SCHEMA_INVALID', message, { place });
      default:
        throw unexpected(answer, place);
    }
  }
}

const FIRST = ['type', 'name', 'namespace'];

/**
 * One text for equal schemas, with members in the order that readers are used to: not every registry
 * takes schemas that differ in the order of members for equal.
 */
function written(schema: AvroSchema): string {
  return JSON.stringify(schema, (_, value: unknown) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    const sorted = Object.entries(value).toSorted(([a], [b]) => (rank(a) < rank(b) ? -1 : 1));
    return Object.fromEntries(sorted);
  });
}

function rank(name: string): string {
  const first = FIRST.indexOf(name);
  return first === -1 ? name : ` ${first}`;
}

/** Single flight, and kept when it is there; what failed may be asked for again. */
function once<Key, Value>(
  known: Map<Key, Promise<Value>>,
  key: Key,
  ask: () => Promise<Value>,
): Promise<Value> {
  const found = known.get(key);
  if (found !== undefined) return found;
  if (known.size >= REMEMBERED_MAX) {
    for (const [oldest] of known) {
      known.delete(oldest);
      break;
    }
  }
  const asked = ask();
  known.set(key, asked);
  asked.catch(() => known.delete(key));
  return asked;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function unexpected({ status, body }: Answer, place: string): MillraceError {
  return new MillraceError(
    'REGISTRY_REFUSED',
    `The answer has status ${status} and ${body.length} characters.`,
    { place, expected: 'an answer as a Confluent schema registry gives it' },
  );
}
