import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ByteReader } from '../../../schemas/byte-reader.ts';
import { ByteWriter } from '../../../schemas/byte-writer.ts';
import { geometries, vectors } from '../../../tests/support/extension-values.ts';
import { judgeCodec } from '../../../tests/support/judged-codec.ts';
import {
  hasExtension,
  startPostgres,
  type PostgresExtension,
  type TestDatabase,
  type TestPostgres,
} from '../../../tests/support/postgres.ts';
import { sparsevecCodec, vectorCodec } from './vectors.ts';
import { geometryCodec } from './ewkb.ts';
import { TEXT_SETTINGS } from './type-codec.ts';

const types = { vector: vectors, postgis: geometries } as const;

describe.each(Object.keys(types) as PostgresExtension[])('with the extension %s', (extension) => {
  describe.skipIf(!hasExtension(extension))('where a server has it', () => {
    let server: TestPostgres;
    let database: TestDatabase;

    beforeAll(async () => {
      server = await startPostgres({ extension });
      database = await server.createDatabase();
      for (const [name, value] of Object.entries(TEXT_SETTINGS)) {
        await database.query(`set ${name} = '${value}'`);
      }
      await database.query(`create extension ${extension}`);
    }, 60_000);

    afterAll(async () => {
      await database[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    });

    test.each(Object.entries(types[extension]))(
      'a %s is the same Avro from its binary and its text form, and the server knows it again',
      async (name, values) => {
        expect(await judgeCodec(database.client, { name, values })).toEqual([]);
      },
      60_000,
    );
  });
});

/** What the send functions of pgvector 0.8 and PostGIS 3.3 wrote, so that no server is needed. */
describe('the bytes of an extension', () => {
  test('vector [1,-2.5,0.1]: the double nearest to the text, not the single itself', () => {
    const reader = written(vectorCodec, '000300003f800000c02000003dcccccd');
    expect([reader.long(), reader.double(), reader.double(), reader.double()]).toEqual([
      3, 1, -2.5, 0.1,
    ]);
  });

  test('sparsevec {1:201,9:0.1}/3000: places count from 1', () => {
    const bytes = '00000bb800000002000000000000000000000008434900003dcccccd';
    const reader = written(sparsevecCodec, bytes);
    expect([reader.long(), reader.long()]).toEqual([3000, 2]);
    expect([reader.long(), reader.double(), reader.long(), reader.double()]).toEqual([
      1, 201, 9, 0.1,
    ]);
  });

  test('geometry SRID=4326;POINT(1 2): the reference system is told by itself', () => {
    const bytes = '0101000020e6100000000000000000f03f0000000000000040';
    const reader = written(geometryCodec, bytes);
    expect(reader.slice().toString('hex')).toBe(bytes);
    expect([reader.long(), reader.long(), reader.long()]).toEqual([1, 4326, 0]);
  });
});

function written(codec: typeof vectorCodec, hex: string): ByteReader {
  const bytes = Buffer.from(hex, 'hex');
  const out = new ByteWriter(16);
  codec.binary({ bytes, start: 0, end: bytes.length }, out);
  return new ByteReader(out.written());
}
