import { MillraceError } from '../../errors.ts';
import type { CataloguedTable } from './catalogue.ts';
import { quoteTable, type Server } from './server.ts';

/** Conditions of the rows that are captured, by `schema.table`: SQL as `CREATE PUBLICATION … WHERE` takes it. */
export type RowFilters = Readonly<Record<string, string>>;

/** The condition of a table; null if all its rows are captured. */
export function filterOf({ table }: CataloguedTable, filters: RowFilters): string | null {
  return filters[`${table.schema}.${table.name}`] ?? null;
}

/** A table as a publication names it. */
export function publishedAs(one: CataloguedTable, filters: RowFilters): string {
  const filter = filterOf(one, filters);
  return quoteTable(one.table) + (filter === null ? '' : ` WHERE (${filter}\n)`);
}

/**
 * Throws `CONFIG_INVALID` for a server that cannot filter, and `SOURCE_IDENTITY` for a filter that uses
 * columns outside the replica identity: once it is published, the server would refuse updates and
 * deletes in the application (PostgreSQL, "Row Filters"). A column counts as used if its name is
 * anywhere in the filter.
 */
export function checkFilters(
  tables: readonly CataloguedTable[],
  filters: RowFilters,
  { major }: Server,
): void {
  if (Object.keys(filters).length === 0) return;
  if (major < 15) {
    throw new MillraceError('CONFIG_INVALID', `PostgreSQL ${major} cannot filter rows.`, {
      place: 'source.filters',
      expected: 'PostgreSQL 15 or newer, or no filters',
    });
  }
  for (const one of tables) {
    const { table, identityIndex } = one;
    const filter = filterOf(one, filters)?.toLowerCase() ?? null;
    if (filter === null || table.identity === 'full') continue;
    const identity = table.identity === 'index' ? (identityIndex ?? []) : table.key;
    const outside = table.columns
      .map(({ name }) => name)
      .filter((name) => !identity.includes(name) && filter.includes(name.toLowerCase()));
    if (outside.length === 0) continue;
    const name = quoteTable(table);
    throw new MillraceError(
      'SOURCE_IDENTITY',
      `The filter of ${name} uses ${outside.join(', ')}, which is not in its replica identity: its updates and deletes would fail in your application.`,
      {
        place: `source.filters, ${table.schema}.${table.name}`,
        remedy: `ALTER TABLE ${name} REPLICA IDENTITY FULL;`,
      },
    );
  }
}

const FILTERED = 'millrace filters ';

/**
 * What the publication's comment is to say. The server shows a filter in words of its own, so what it
 * has cannot be compared with what is configured; this can. Null if there are no filters.
 */
export function filterComment(filters: RowFilters): string | null {
  const sorted = Object.entries(filters).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return sorted.length === 0 ? null : FILTERED + JSON.stringify(Object.fromEntries(sorted));
}

/** The comment if it is one of ours. */
export function ownComment(comment: string | null): string | null {
  return comment?.startsWith(FILTERED) === true ? comment : null;
}
