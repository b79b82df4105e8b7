/** The tables that a ledger is kept of, and those captured: the same. */
export const ledgerTables = [
  'public.accounts',
  'public.moves',
  'public.parts',
  'public.events',
] as const;

/**
 * Tables with triggers that write every change, with the transaction that makes it, into
 * `ledger.entries`, which is not captured: what was committed, told by Postgres itself.
 *
 * `rev` is drawn anew for each version of a row, so a change is known by it. `seq` orders the entries of
 * a key as they were committed, because it is drawn under the lock of the row (or, for a truncate, of
 * the table). `body` is stored out of line when it is long.
 */
export const ledgerSchema = `
  CREATE SCHEMA ledger;
  CREATE SEQUENCE ledger.revs;
  CREATE SEQUENCE ledger.ids;
  CREATE TABLE ledger.entries (
    seq bigserial PRIMARY KEY, tab text NOT NULL, op text NOT NULL, key text, rev bigint, digest text
  );
  CREATE TABLE accounts (id int PRIMARY KEY, rev bigint, amount numeric(12,2), body text);
  CREATE TABLE moves (area text, slot int, rev bigint, body text, PRIMARY KEY (area, slot));
  CREATE TABLE parts (id int PRIMARY KEY, rev bigint, body text);
  CREATE TABLE events (rev bigint, at timestamptz NOT NULL DEFAULT clock_timestamp(), body text);
  ALTER TABLE events REPLICA IDENTITY FULL;
  ALTER TABLE accounts ALTER COLUMN body SET STORAGE EXTERNAL;
  ALTER TABLE moves ALTER COLUMN body SET STORAGE EXTERNAL;

  CREATE FUNCTION ledger.body(long boolean) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT string_agg(md5(random()::text), '') FROM generate_series(1, CASE WHEN long THEN 90 ELSE 1 END)
  $$;
  CREATE FUNCTION ledger.stamp() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN NEW.rev := nextval('ledger.revs'); RETURN NEW; END
  $$;
  CREATE FUNCTION ledger.key(tab text, r jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE tab WHEN 'moves' THEN (r->>'area') || '/' || (r->>'slot') ELSE r->>'id' END
  $$;
  CREATE FUNCTION ledger.write() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
      was text := CASE WHEN TG_OP IN ('UPDATE', 'DELETE') THEN ledger.key(TG_TABLE_NAME, to_jsonb(OLD)) END;
      is_ text := CASE WHEN TG_OP IN ('UPDATE', 'INSERT') THEN ledger.key(TG_TABLE_NAME, to_jsonb(NEW)) END;
      moved boolean := TG_OP = 'UPDATE' AND was IS DISTINCT FROM is_;
    BEGIN
      IF TG_OP = 'DELETE' OR moved THEN
        INSERT INTO ledger.entries (tab, op, key, rev, digest)
          VALUES (TG_TABLE_NAME, 'd', was, OLD.rev, md5(OLD.body));
      END IF;
      IF TG_OP <> 'DELETE' THEN
        INSERT INTO ledger.entries (tab, op, key, rev, digest)
          VALUES (TG_TABLE_NAME, CASE WHEN TG_OP = 'INSERT' OR moved THEN 'c' ELSE 'u' END, is_,
                  NEW.rev, md5(NEW.body));
      END IF;
      RETURN NULL;
    END
  $$;
  CREATE FUNCTION ledger.emptied() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO ledger.entries (tab, op) VALUES (TG_TABLE_NAME, 't'); RETURN NULL; END
  $$;
  DO $$ DECLARE name text; BEGIN
    FOREACH name IN ARRAY ARRAY['accounts', 'moves', 'parts', 'events'] LOOP
      EXECUTE format('CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION ledger.stamp()', name);
      EXECUTE format('CREATE TRIGGER write AFTER INSERT OR UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION ledger.write()', name);
      EXECUTE format('CREATE TRIGGER emptied AFTER TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION ledger.emptied()', name);
    END LOOP;
  END $$;
  INSERT INTO accounts SELECT nextval('ledger.ids'), 0, g, ledger.body(g % 5 = 0) FROM generate_series(1, 3000) g;
  INSERT INTO moves SELECT 'a' || g % 5, g, 0, ledger.body(g % 7 = 0) FROM generate_series(1, 500) g;
  INSERT INTO parts SELECT nextval('ledger.ids'), 0, ledger.body(false) FROM generate_series(1, 300);
  INSERT INTO events (body) SELECT ledger.body(false) FROM generate_series(1, 2000);
  TRUNCATE ledger.entries;
`;

export interface Statement {
  readonly kind: string;
  readonly weight: number;
  readonly sql: string;
}

/** Ids of some rows, taken at random from all over the table. */
const some = (table: string, rows: number): string =>
  `(SELECT id FROM ${table} ORDER BY md5(id::text || random()::text) LIMIT ${rows})`;
const place = `'a' || floor(random() * 5)::int, floor(random() * 600)::int`;

/** What the load does, one or several of them in a transaction. */
export const statements: readonly Statement[] = [
  {
    kind: 'insert',
    weight: 8,
    sql: `INSERT INTO accounts (id, amount, body)
          SELECT nextval('ledger.ids'), g, ledger.body(random() < 0.2) FROM generate_series(1, 5) g`,
  },
  {
    kind: 'toast untouched',
    weight: 10,
    sql: `UPDATE accounts SET amount = amount + 1 WHERE id IN ${some('accounts', 8)}`,
  },
  {
    kind: 'toast',
    weight: 4,
    sql: `UPDATE accounts SET body = ledger.body(random() < 0.5) WHERE id IN ${some('accounts', 3)}`,
  },
  { kind: 'delete', weight: 4, sql: `DELETE FROM accounts WHERE id IN ${some('accounts', 4)}` },
  {
    kind: 'delete and insert again',
    weight: 2,
    sql: `WITH gone AS (DELETE FROM accounts WHERE id IN ${some('accounts', 1)} RETURNING id)
          SELECT set_config('ledger.again', (SELECT id::text FROM gone), true);
          INSERT INTO accounts (id, amount, body)
          VALUES (current_setting('ledger.again')::int, -1, ledger.body(true))`,
  },
  {
    kind: 'upsert',
    weight: 6,
    sql: `INSERT INTO moves (area, slot, body) SELECT ${place}, ledger.body(random() < 0.2)
          ON CONFLICT (area, slot) DO UPDATE SET body = excluded.body`,
  },
  {
    // The long body of the old key comes along with the new one. A slot that is taken rolls back.
    kind: 'key change',
    weight: 8,
    sql: `UPDATE moves SET slot = floor(random() * 600)::int
          WHERE (area, slot) = (SELECT area, slot FROM moves ORDER BY md5(slot::text || random()::text) LIMIT 1)`,
  },
  {
    kind: 'delete',
    weight: 3,
    sql: `DELETE FROM moves WHERE (area, slot) IN (SELECT ${place})`,
  },
  {
    kind: 'insert',
    weight: 5,
    sql: `INSERT INTO parts (id, body)
          SELECT nextval('ledger.ids'), ledger.body(false) FROM generate_series(1, 5)`,
  },
  {
    kind: 'update',
    weight: 4,
    sql: `UPDATE parts SET body = ledger.body(false) WHERE id IN ${some('parts', 5)}`,
  },
  { kind: 'truncate', weight: 0.4, sql: 'TRUNCATE parts' },
  {
    kind: 'append',
    weight: 8,
    sql: `INSERT INTO events (body) SELECT ledger.body(false) FROM generate_series(1, 6)`,
  },
  {
    kind: 'large',
    weight: 0.3,
    sql: `INSERT INTO events (body) SELECT ledger.body(false) FROM generate_series(1, 3000)`,
  },
];
