import type { Arbitrary } from 'fast-check';
import * as fc from 'fast-check';
import type { Client } from 'pg';
import { ByteReader } from '../../schemas/byte-reader.ts';
import { ByteWriter } from '../../schemas/byte-writer.ts';
import { avroOf } from '../../schemas/semantic.ts';
import { chooseCodec, isBinarySafe } from '../../connectors/postgres/types/codec-of.ts';
import { DEFAULT_MODES, type TypeModes } from '../../connectors/postgres/types/modes.ts';
import { EXACTNESS, inexact } from '../../connectors/postgres/types/type-codec.ts';
import { avroType } from './recorded-stream.ts';
import { readTable } from './postgres-tables.ts';
import { postgresText } from './postgres-text.ts';
import { seed } from './seed.ts';

export interface JudgedType {
  readonly name: string;
  /** Values as Postgres reads them. */
  readonly values: Arbitrary<string>;
  readonly modes?: Partial<TypeModes>;
}

/**
 * The server is the judge: it makes a value from text, sends it in both forms, and is asked whether the
 * text that we read back from our Avro is the same value to it. Answers what is wrong, in words.
 */
export async function judgeCodec(
  client: Client,
  { name, values, modes }: JudgedType,
): Promise<string[]> {
  await client.query(`drop table if exists t; create table t (v ${name})`);
  const type = (await readTable(client, 't')).columns[0]!.type;
  if (!isBinarySafe(type)) return [`${name} has no known binary form`];
  const { codec } = chooseCodec(type, {
    modes: { ...DEFAULT_MODES, ...modes },
    keyed: false,
  });
  const avro = avroType(avroOf(codec.semantic));
  const sample = fc.sample(values, { seed, numRuns: 150 });
  const { rows: sends } = await client.query(
    'select typsend::text send from pg_type where oid = $1',
    [type.oid],
  );
  const { rows } = await client.query(
    `with made as (select i, v::${name} v from unnest($1::text[]) with ordinality u(v, i))
     select format('%s', v) s, ${sends[0].send}(v) b from made order by i`,
    [sample],
  );
  const backs: string[] = [];
  const wrong: string[] = [];
  for (const { s, b } of rows as { s: string; b: Buffer }[]) {
    const fromBinary = encode((out) => codec.binary({ bytes: b, start: 0, end: b.length }, out));
    const bytes = Buffer.from(`..${s}..`);
    const fromText = encode((out) => codec.text({ bytes, start: 2, end: bytes.length - 2 }, out));
    if (fromText.bytes !== fromBinary.bytes || fromText.exact !== fromBinary.exact) {
      wrong.push(
        `seed ${seed}: ${s} is ${fromText.bytes} from text, ${fromBinary.bytes} from binary`,
      );
    }
    // avsc reads exactly these bytes: the form is valid Avro of the registered schema.
    const avroBytes = Buffer.from(fromBinary.bytes, 'hex');
    if (!avro.toBuffer(avro.fromBuffer(avroBytes)).equals(avroBytes)) {
      wrong.push(`seed ${seed}: ${s} is no Avro`);
    }
    backs.push(
      fromBinary.exact ?? shownAs(name, postgresText(codec.semantic, new ByteReader(avroBytes))),
    );
  }
  const { rows: judged } = await client.query(
    `select v::text want, w::text got
     from (select v::${name} v, ${codec.semantic.kind === 'json' && name === 'hstore' ? FROM_JSON : `w::${name}`} w
       from unnest($1::text[], $2::text[]) u(v, w)) x`,
    [rows.map(({ s }) => s), backs],
  );
  for (const { want, got } of judged) {
    if (got !== want) wrong.push(`seed ${seed}: ${got} for ${want}`);
  }
  return wrong;
}

/** What the semantic type does not know of the source's: bits that are booleans, the delimiter of boxes. */
function shownAs(type: string, text: string): string {
  if (type.startsWith('bit(1)')) return text.replaceAll('true', '1').replaceAll('false', '0');
  const delimiter = type === 'box[]' ? ';' : type === 'geometry[]' ? ':' : ',';
  return delimiter === ',' ? text : text.replaceAll(/(["L]),(?=["N])/g, `$1${delimiter}`);
}

const FROM_JSON = `(select coalesce(hstore(array_agg(key), array_agg(value)), '') from json_each_text(w::json))`;

/** What a codec wrote, and the text it told if that is not all. */
function encode(write: (out: ByteWriter) => void): { bytes: string; exact: string | null } {
  const out = new ByteWriter(1);
  write(out);
  const exact = inexact.exactness === EXACTNESS.exact ? null : inexact.text;
  inexact.exactness = EXACTNESS.exact;
  return { bytes: out.written().toString('hex'), exact };
}
