import type { CapturedTable } from '../connectors/connector.ts';
import { directive } from '../errors.ts';
import type { SchemaRegistry } from '../schemas/registry.ts';
import type { Components } from './components.ts';

export interface LookOptions {
  readonly signal: AbortSignal;
  /** The pipeline runs in another process. */
  readonly beside?: boolean;
  /** A source that is out of reach now is none that cannot be captured. */
  readonly patient?: boolean;
}

/**
 * What the source has to be captured, before anything is made for it. Throws all that keeps it from being
 * captured; null if it is out of reach, and `patient`.
 */
export async function lookAtSource(
  components: Pick<Components, 'openConnector'>,
  { signal, beside = false, patient = false }: LookOptions,
): Promise<readonly CapturedTable[] | null> {
  await using connector = await components.openConnector(registersNothing);
  try {
    return await connector.plan(signal, { beside });
  } catch (error) {
    if (patient && directive(error) === 'retry') return null;
    throw error;
  }
}

const registersNothing: SchemaRegistry = {
  register: (subject) => Promise.reject(new Error(`a look registers nothing: ${subject}`)),
  byId: (id) => Promise.reject(new Error(`a look reads no schemas: ${id}`)),
  [Symbol.asyncDispose]: () => Promise.resolve(),
};
