import { count } from '../figures.ts';
import { table } from '../table.ts';
import type { TableComparison } from './tables.ts';

/** A table of what was found, and what was left out of it. */
export function comparisonLines(tables: readonly TableComparison[]): string[] {
  const columns = [
    { title: 'table' },
    { title: 'rows in source', align: 'right' },
    { title: 'rows in sink', align: 'right' },
    { title: 'content' },
  ] as const;
  const lines = table(
    columns,
    tables.map((one) => {
      const { table, sourceRows, sinkRows } = one;
      const rows = isCompared(one) ? [count(sourceRows), count(sinkRows)] : ['', ''];
      return [table, ...rows, content(one)];
    }),
  );
  return [...lines, ...tables.flatMap(notComparedLines)];
}

/** What differs, in words: the first of it, and how much there is of what. */
function content(one: TableComparison): string {
  if (!isCompared(one)) return 'NOT COMPARED';
  if (one.equal) return 'equal';
  const { missing, extra, different } = one;
  const parts = [
    ...(missing > 0 ? [`${count(missing)} missing`] : []),
    ...(extra > 0 ? [`${count(extra)} only in the sink`] : []),
    ...(different > 0 ? [`${count(different)} different`] : []),
  ];
  return `DIFFERENT: ${[one.first, ...(parts.length > 0 ? [parts.join(', ')] : [])].join('; ')}`;
}

function notComparedLines({ table, notCompared }: TableComparison): string[] {
  return notCompared.map(
    ({ column, why }) =>
      `${column === null ? table : `${table}.${column}`} is not compared: ${why}`,
  );
}

export function isCompared({ notCompared }: TableComparison): boolean {
  return notCompared.every(({ column }) => column !== null);
}
