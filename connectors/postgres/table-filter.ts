import { MillraceError } from '../../errors.ts';
import { namePattern } from './name-pattern.ts';

/** Which tables the configuration means. */
export interface TableFilter {
  matches(schema: string, name: string): boolean;
  /** Patterns without a `*` or with one that match none of these tables. */
  unmatched(tables: readonly { readonly schema: string; readonly name: string }[]): string[];
}

/** `schema.table` each, `*` for any characters. Throws `CONFIG_INVALID` for a name without a schema. */
export function tableFilter(patterns: readonly string[]): TableFilter {
  if (patterns.length === 0) throw invalid('is empty');
  const expressions = patterns.map((pattern) => {
    if (!pattern.includes('.')) throw invalid(`has "${pattern}", which names no schema`);
    return namePattern(pattern);
  });
  return {
    matches: (schema, name) => expressions.some((one) => one.test(`${schema}.${name}`)),
    unmatched: (tables) =>
      patterns.filter(
        (_, at) => !tables.some(({ schema, name }) => expressions[at]?.test(`${schema}.${name}`)),
      ),
  };
}

function invalid(what: string): MillraceError {
  return new MillraceError('CONFIG_INVALID', `The list of tables ${what}.`, {
    place: 'source.tables',
    expected: 'schema.table, such as public.orders or public.*',
  });
}
