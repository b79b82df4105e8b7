import { MillraceError } from '../../errors.ts';
import type { Connection } from './connection.ts';

/** What the server is and what it lets us do. */
export interface Server {
  /** Such as 15 or 18. */
  readonly major: number;
  readonly walLevel: string;
  readonly database: string;
  readonly user: string;
  readonly mayReplicate: boolean;
  readonly mayCreate: boolean;
  readonly superuser: boolean;
  readonly slotsFree: number;
  readonly sendersFree: number;
  readonly inRecovery: boolean;
}

/** Roles that may replicate without the attribute, at providers that keep it to themselves. */
const REPLICATION_ROLES = ['rds_replication', 'azure_pg_admin'];

export async function server(connection: Connection): Promise<Server> {
  const rows = await connection.rows<Server>(
    `SELECT current_setting('server_version_num')::int / 10000 AS major,
       current_setting('wal_level') AS "walLevel",
       current_database() AS database, current_user AS "user",
       r.rolsuper AS superuser,
       r.rolreplication OR r.rolsuper OR EXISTS (SELECT FROM pg_roles g
         WHERE g.rolname = ANY($1) AND pg_has_role(g.oid, 'MEMBER')) AS "mayReplicate",
       has_database_privilege(current_database(), 'CREATE') AS "mayCreate",
       current_setting('max_replication_slots')::int
         - (SELECT count(*)::int FROM pg_replication_slots) AS "slotsFree",
       current_setting('max_wal_senders')::int
         - (SELECT count(*)::int FROM pg_stat_replication) AS "sendersFree",
       pg_is_in_recovery() AS "inRecovery"
     FROM pg_roles r WHERE r.rolname = current_user`,
    [REPLICATION_ROLES],
  );
  const [found] = rows;
  if (found === undefined) throw new Error('the server knows no current_user');
  return found;
}

/** Older servers may not even understand what else is asked. */
export function checkVersion({ major }: Server): void {
  if (major >= 14) return;
  throw new MillraceError('SOURCE_VERSION', `The server is PostgreSQL ${major}.`, {
    expected: 'PostgreSQL 14 or newer',
  });
}

export function checkWalLevel({ walLevel }: Server): void {
  if (walLevel === 'logical') return;
  throw new MillraceError('SOURCE_WAL_LEVEL', `wal_level is ${walLevel}.`, {
    expected: 'wal_level = logical',
  });
}

export function checkPrivilege({ mayReplicate, user }: Server): void {
  if (mayReplicate) return;
  throw new MillraceError('SOURCE_PRIVILEGE', `The role ${user} may not replicate.`, {
    remedy: `As a superuser: ALTER ROLE ${quoteName(user)} REPLICATION;`,
  });
}

/** Quotes an identifier. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteTable(table: { readonly schema: string; readonly name: string }): string {
  return `${quoteName(table.schema)}.${quoteName(table.name)}`;
}
