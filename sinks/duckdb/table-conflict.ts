import { MillraceError } from '../../errors.ts';
import type { Mode, Table } from '../dialect.ts';
import { targetName, type Target } from '../target.ts';
import type { TableState } from './table-state.ts';

/** Throws `SINK_TABLE_CONFLICT` where a table was made with another mode, manner of deletes or key. */
export function refuseOtherManner(
  { target }: TableState,
  stored: Table,
  now: { mode: Mode; key: readonly string[] },
): void {
  if (stored.mode !== now.mode) {
    throw conflict(
      target,
      `was made in mode ${stored.mode} and is now ${now.mode}`,
      `mode ${stored.mode}`,
    );
  }
  if (stored.mode === 'append') return;
  if (stored.deletes !== target.deletes) {
    throw conflict(target, `was made with delete: ${stored.deletes}`, `delete: ${stored.deletes}`);
  }
  if (now.key.length > 0 && now.key.join('\n') !== stored.key.join('\n')) {
    throw conflict(
      target,
      `has the key ${stored.key.join(', ')} and the topic now has ${now.key.join(', ')}`,
      'the same key',
    );
  }
}

/** A table that is not what its topic needs. */
export function conflict(target: Target, what: string, expected: string): MillraceError {
  return new MillraceError('SINK_TABLE_CONFLICT', `the table ${targetName(target)} ${what}`, {
    place: `topic ${target.topic}`,
    expected,
    remedy: 'Rename or drop it, change the configuration back, or rebuild the table.',
  });
}
