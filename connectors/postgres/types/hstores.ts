import type { ByteWriter } from '../../../schemas/byte-writer.ts';
import type { SemanticType } from '../../../schemas/semantic.ts';
import { hstoreFromText, hstorePairs } from './output/search.ts';
import { utf8Of, type TypeCodec } from './type-codec.ts';

type Pairs = readonly (readonly [key: string, value: string | null])[];

/** hstore as a JSON object, its pairs in the server's order. */
export const hstoreJsonCodec = hstoreCodec({ kind: 'json' }, (pairs, out) => {
  const members = pairs.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  out.string(`{${members.join(',')}}`);
});

export const hstoreMapCodec = hstoreCodec({ kind: 'map' }, (pairs, out) => {
  if (pairs.length > 0) out.long(pairs.length);
  for (const [key, value] of pairs) {
    out.string(key);
    out.byte(value === null ? 0 : 2);
    if (value !== null) out.string(value);
  }
  out.byte(0);
});

function hstoreCodec(
  semantic: SemanticType,
  write: (pairs: Pairs, out: ByteWriter) => void,
): TypeCodec {
  return {
    semantic,
    binary(cell, out) {
      write(hstorePairs(cell), out);
    },
    text(cell, out) {
      write(hstoreFromText(utf8Of(cell)), out);
    },
  };
}
