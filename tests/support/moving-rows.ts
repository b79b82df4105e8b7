import { createHash } from 'node:crypto';
import type { Client } from 'pg';
import type { Outgoing, TopicName } from '../../broker/broker.ts';
import { RecordWriter } from '../../broker/records.ts';
import { record } from './recorded-changes.ts';
import { encoderContext, pushAll, type MemoryRegistry } from './recorded-stream.ts';

/** What is done to rows of one table; the steps of a list are one transaction. */
export type MovingStep =
  | { readonly do: 'put'; readonly id: number; readonly long: boolean }
  | { readonly do: 'touch' | 'delete'; readonly id: number }
  | { readonly do: 'move' | 'swap' | 'there and back'; readonly id: number; readonly to: number }
  | { readonly do: 'chain'; readonly id: number; readonly to: number; readonly last: number }
  | { readonly do: 'truncate' };

/** What Postgres itself says became of a row: its trigger writes it, with the long value's digest. */
export interface RowState {
  readonly op: string;
  readonly n: number;
  readonly digest: string | null;
}

export interface MovedRows {
  readonly raw: TopicName;
  readonly registry: MemoryRegistry;
  /** Publishes of a connector, in order. */
  readonly publishes: readonly (readonly Outgoing[])[];
  /** By id: each state that a row of this key had, in order. */
  readonly history: ReadonlyMap<number, readonly RowState[]>;
  /** By id: what the table holds in the end. */
  readonly rows: ReadonlyMap<number, Omit<RowState, 'op'>>;
}

/** `big` lies out of line where it is long, and updates that leave it alone do not send it. */
const SCHEMA = `
  DROP TABLE IF EXISTS public.history;
  CREATE TABLE public.history (seq bigserial PRIMARY KEY, op text, id int, n int, digest text);
  CREATE OR REPLACE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE moved boolean := TG_OP = 'UPDATE' AND OLD.id <> NEW.id;
    BEGIN
      IF TG_OP = 'DELETE' OR moved THEN
        INSERT INTO public.history (op, id, n, digest) VALUES ('d', OLD.id, OLD.n, md5(OLD.big));
      END IF;
      IF TG_OP <> 'DELETE' THEN
        INSERT INTO public.history (op, id, n, digest)
        VALUES (CASE WHEN moved OR TG_OP = 'INSERT' THEN 'c' ELSE 'u' END, NEW.id, NEW.n, md5(NEW.big));
      END IF;
      RETURN NULL;
    END $$;
  CREATE TABLE things (id int PRIMARY KEY, n int NOT NULL, big text);
  ALTER TABLE things ALTER big SET STORAGE EXTERNAL;
  CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON things
    FOR EACH ROW EXECUTE FUNCTION public.note();`;

/**
 * Performs transactions on a real table and gives what a connector publishes of them, cut where `cuts`
 * says (changes between two publishes, over and over).
 */
export async function moveRows(
  client: Client,
  transactions: readonly (readonly MovingStep[])[],
  { partitions, cuts }: { readonly partitions: number; readonly cuts: readonly number[] },
): Promise<MovedRows> {
  const statements = transactions.map((steps) => steps.map(sqlOf).join(';'));
  const { messages, tables } = await record(client, [SCHEMA, ...statements]);
  const context = encoderContext({ partitions });
  const publishes: (readonly Outgoing[])[] = [];
  let messagesSeen = 0;
  let changesCut = 0;
  const cut = (): void => {
    publishes.push(context.buffer.outgoing().map(copyOf));
    context.buffer.reset();
  };
  await pushAll(messages, {
    context,
    tables,
    each: (encoder) => {
      if (encoder.changes - changesCut >= (cuts[publishes.length % cuts.length] ?? 1)) {
        changesCut = encoder.changes;
        cut();
      }
      // Each message comes a millisecond after the last, now and then a clock is set back.
      encoder.processedAt(1_700_000_000_000 + (++messagesSeen % 97));
    },
  });
  cut();
  const raw = publishes.flat()[0]?.topic;
  const history = new Map<number, RowState[]>();
  const found = await client.query<RowState & { id: number }>(
    'SELECT op, id, n, digest FROM public.history ORDER BY seq',
  );
  for (const { id, ...state } of found.rows) {
    history.set(id, [...(history.get(id) ?? []), state]);
  }
  const { rows } = await client.query<{ id: number; n: number; digest: string | null }>(
    'SELECT id, n, md5(big) AS digest FROM things',
  );
  return {
    raw: raw ?? ('gold.none' as TopicName),
    registry: context.registry,
    publishes,
    history,
    rows: new Map(rows.map(({ id, ...rest }) => [id, rest])),
  };
}

/** As the trigger writes it; a column that a record lists as missing is in no row, and has no digest. */
export function digestOf(big: string | null | undefined): string | null {
  if (big === undefined) return 'missing';
  return big === null ? null : createHash('md5').update(big).digest('hex');
}

function copyOf({ topic, partition, records }: Outgoing): Outgoing {
  const bytes = Buffer.from(records.written());
  const copy = new RecordWriter();
  copy.copyRun(bytes, 0, bytes.length);
  return { topic, partition, records: copy };
}

const move = (from: number, to: number): string =>
  `UPDATE things SET id = ${to}, n = n + 1 WHERE id = ${from}
   AND NOT EXISTS (SELECT 1 FROM things WHERE id = ${to})`;

function sqlOf(step: MovingStep): string {
  switch (step.do) {
    case 'put': {
      const long = `(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 100))`;
      return `INSERT INTO things VALUES (${step.id}, 0, ${step.long ? long : `'short'`})
              ON CONFLICT (id) DO UPDATE SET big = excluded.big, n = things.n + 1`;
    }
    case 'touch':
      return `UPDATE things SET n = n + 1 WHERE id = ${step.id}`;
    case 'delete':
      return `DELETE FROM things WHERE id = ${step.id}`;
    case 'move':
      return move(step.id, step.to);
    case 'swap':
      return [move(step.id, -1), move(step.to, step.id), move(-1, step.to)].join(';');
    case 'there and back':
      return [move(step.id, step.to), move(step.to, step.id)].join(';');
    case 'chain':
      return [move(step.id, step.to), move(step.to, step.last)].join(';');
    case 'truncate':
      return 'TRUNCATE things';
  }
}
