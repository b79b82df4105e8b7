import { z } from 'zod';
import { columnRules } from './column-rules.ts';
import { group } from './group.ts';
import { duration, flag, oneOf, size, text, whole } from './units.ts';

const prefixes = () =>
  z.array(z.string({ error: 'a prefix such as outbox' }), { error: 'a list such as [outbox]' });

export const postgresSource = group({
  kind: z.literal('postgres').describe('Snapshot and logical replication of a Postgres database.'),
  url: text('a URL such as postgres://user:password@host:5432/database')
    .optional()
    .describe('Connection URL. What it leaves out comes from the PG* variables.'),
  host: text('a host, or the folder of a Unix socket')
    .optional()
    .describe('Over `url`; else PGHOST.'),
  port: whole(1, 65_535).optional().describe('Over `url`; else PGPORT, else 5432.'),
  user: text('a user').optional().describe('Over `url`; else PGUSER.'),
  password: text('a password')
    .optional()
    .describe('Over `url`; else PGPASSWORD. Keep it out of the file: ${NAME}.'),
  database: text('a database').optional().describe('Over `url`; else PGDATABASE.'),
  sslmode: oneOf(['disable', 'prefer', 'require', 'verify-ca', 'verify-full'])
    .optional()
    .describe('As libpq; over `url`; else PGSSLMODE, else prefer.'),
  tables: z
    .array(
      text('a table such as public.orders').regex(
        /^[^.]+\..+$/,
        'schema.table, such as public.orders',
      ),
      { error: 'a list such as [public.orders]' },
    )
    .min(1, 'at least one table, such as [public.orders]')
    .describe('Tables to capture, each with its schema; `*` stands for any characters.'),
  slot: text('the name of a replication slot')
    .regex(/^[a-z0-9_]{1,63}$/, 'lower-case letters, digits and underscores, at most 63')
    .optional()
    .describe('Replication slot; `millrace_<pipeline>` if not given. Created when missing.'),
  publication: text('the name of a publication')
    .optional()
    .describe('Publication; `millrace_<pipeline>` if not given. Created when missing.'),
  filters: z
    .record(z.string(), text('a condition in SQL'), {
      error: 'conditions by table, such as public.orders: "id > 0"',
    })
    .prefault({})
    .describe('Which rows of a table are captured: SQL, kept by the server (15 and newer).'),
  columns: z
    .record(z.string(), columnRules, {
      error: 'rules by table, such as public.customers: { exclude: [ssn] }',
    })
    .prefault({})
    .describe('What is done to columns of a table before they reach a topic.'),
  hashKey: text('a secret')
    .optional()
    .describe('Key of the HMAC-SHA256 that `hash` writes. Keep it out of the file: ${NAME}.'),
  snapshotConcurrency: whole(1, 16)
    .prefault(1)
    .describe('Connections that the snapshot reads over at once; what is in memory is the same.'),
  heartbeatInterval: duration()
    .prefault('10s')
    .describe(
      'How often a logical message moves the slot on while only others write; 0s for never.',
    ),
  slotWarnBytes: size()
    .prefault('4GiB')
    .describe('WAL kept for the slot from which it counts as at risk; 0B for never.'),
  slotFailover: flag()
    .prefault(false)
    .describe('Make the slot one that standbys synchronise (17 and newer).'),
  slotPolicy: oneOf(['warn', 'stop'])
    .prefault('warn')
    .describe('What a slot at risk does: `warn` in the log, or `stop` the pipeline.'),
  messagePrefixInclude: prefixes()
    .prefault(['*'])
    .describe(
      'Prefixes of the logical messages (pg_logical_emit_message) that are captured, on `<pipeline>.message`; `*` stands for any characters.',
    ),
  messagePrefixExclude: prefixes()
    .prefault([])
    .describe('Which of these are not captured; `*` for no messages and no such topic.'),
  provideTransactionMetadata: flag()
    .prefault(false)
    .describe(
      'Tell of each change to which transaction it belongs, and on `<pipeline>.transaction` when transactions begin and end.',
    ),
  includeSchemaChanges: flag()
    .prefault(false)
    .describe(
      'Tell on the topic `<pipeline>` how tables are defined, at first and when that has changed.',
    ),
  tombstones: flag()
    .prefault(true)
    .describe('Follow each delete on the raw topic by a null value, as Debezium does.'),
  decimalHandling: oneOf(['precise', 'string', 'double'])
    .prefault('precise')
    .describe('How numeric and money travel: exactly, as text, or as a float, which rounds.'),
  timePrecision: oneOf([
    'adaptive',
    'adaptive_time_microseconds',
    'connect',
    'isostring',
    'microseconds',
    'nanoseconds',
  ])
    .prefault('adaptive')
    .describe(
      'How date, time and timestamp travel: in the unit of their precision, as ISO 8601 text, or in one unit; `connect` is milliseconds.',
    ),
  intervalHandling: oneOf(['numeric', 'string'])
    .prefault('numeric')
    .describe('How interval travels: microseconds with months of 30.4375 days, or ISO 8601 text.'),
  hstoreHandling: oneOf(['json', 'map'])
    .prefault('json')
    .describe('How hstore travels: JSON text, or a map.'),
  binaryHandling: oneOf(['bytes', 'base64', 'base64-url-safe', 'hex'])
    .prefault('bytes')
    .describe('How bytea travels: bytes, or text.'),
  nameAdjustment: oneOf(['none', 'avro', 'avro_unicode'])
    .prefault('avro')
    .describe(
      'What names become where Avro does not allow them: `_`, or `_uXXXX`; with `none` such a table is refused.',
    ),
});
