import { json, type Capture, type CapturedChange } from './capture.ts';

const UNSENT = '__debezium_unavailable_value';

/**
 * The rows of `items` that the changes make, as the compact stage makes them whole: the newest version of
 * each key wins, and what a change lacks is in the last row of its key, or of the one that it comes from.
 * What nobody knows stays unsent.
 */
export function newestRows({ changes }: Capture): Map<string, string> {
  const rows = new Map<string, { version: bigint; row: CapturedChange['after'] }>();
  const left = new Map<string, CapturedChange['after']>();
  for (const { key, op, version, after, topic, oldKey } of changes) {
    if (key === null || !topic.endsWith('items')) continue;
    const known = rows.get(key);
    if (known !== undefined && known.version >= version) continue;
    if (op === 'd') {
      left.set(key, known?.row ?? null);
      rows.set(key, { version, row: null });
      continue;
    }
    const from = oldKey === null ? known?.row : left.get(oldKey);
    const filled = Object.entries(after ?? {}).map(([name, value]) => [
      name,
      value === UNSENT ? (from?.[name] ?? UNSENT) : value,
    ]);
    rows.set(key, { version, row: Object.fromEntries(filled) });
  }
  return new Map([...rows].flatMap(([key, { row }]) => (row === null ? [] : [[key, json(row)]])));
}
