import { MillraceError } from '../../errors.ts';
import type { PgTable } from './table.ts';

/** What is wrong with a table whose old rows do not have its primary key, and the SQL that mends it. */
export function untoldKey({ schema, name }: PgTable): MillraceError {
  const quoted = [schema, name].map((part) => `"${part.replaceAll('"', '""')}"`).join('.');
  return new MillraceError(
    'SOURCE_IDENTITY',
    'The old row of a change does not have the primary key, so its key is not known.',
    {
      place: `${schema}.${name}`,
      remedy: `ALTER TABLE ${quoted} REPLICA IDENTITY DEFAULT; (or FULL)`,
    },
  );
}
