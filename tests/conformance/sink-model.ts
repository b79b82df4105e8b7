import type { Row, TestChange } from '../support/changes.ts';

export interface ModelChange extends TestChange {
  readonly version: number;
}

interface ModelRow {
  readonly row: Row;
  readonly version: number;
  readonly deleted: boolean;
}

/**
 * What a merge table of `orders` holds after a set of changes, in whatever order and however often they
 * came: the definition that the sinks are measured by, written without any thought of speed.
 */
export function mergedRows(
  changes: Iterable<ModelChange>,
  deletes: 'hard' | 'soft',
): (string | null)[][] {
  const ordered = [...changes].sort((one, other) => one.version - other.version);
  const truncated = Math.max(
    0,
    ...ordered.flatMap(({ op, version }) => (op === 't' ? version : [])),
  );
  const rows = new Map<unknown, ModelRow>();
  for (const { op, version, before, after, unchanged = [] } of ordered) {
    const image = after ?? before;
    if (op === 't' || !image) continue;
    const old = rows.get(image['id']);
    if (old !== undefined && old.version >= version) continue;
    const gone = version < truncated;
    if (deletes === 'hard' && (op === 'd' || gone)) {
      rows.delete(image['id']);
      continue;
    }
    const row = Object.fromEntries(
      Object.entries(image).map(([name, value]) => [
        name,
        unchanged.includes(name) ? (old?.row[name] ?? null) : value,
      ]),
    );
    rows.set(image['id'], { row, version, deleted: op === 'd' || gone });
  }
  return [...rows.values()].map(({ row, version, deleted }) => [
    ...['id', 'a', 'b'].map((name) => textOf(row[name])),
    String(version),
    ...(deletes === 'soft' ? [String(deleted)] : []),
  ]);
}

/** As the sinks' tables read: a value that no change had is NULL. */
function textOf(value: unknown): string | null {
  return typeof value === 'string'
    ? value
    : typeof value === 'number' || typeof value === 'bigint'
      ? String(value)
      : null;
}
