/** Tables of the recorded SQL that are replayed. */
export const TABLES = [
  'types_num',
  'types_text',
  'types_time',
  'toast_default',
  'toast_full',
  'pk_compound',
  'pk_full',
  'nokey_full',
  'defaults',
  'pk_num',
  'pk_time',
  'pk_bytes',
  'trunc1',
  'trunc2',
  'evolve',
  'part',
  'Weird-Table.1',
] as const;

/** Those that are refused, and why. */
export const REFUSED: Readonly<Record<string, string>> = {
  ri_index: 'Debezium makes up a key of zeros for its deletes, since the old row has none',
  ri_nothing: 'its updates and deletes would fail in the application as soon as it is published',
  nokey: 'its updates and deletes would fail in the application as soon as it is published',
};

/**
 * Where we differ from Debezium on purpose, by table and column, each with the reason. The same list is
 * in docs/sources/postgres-values.md.
 */
export const differences: Readonly<
  Record<string, { readonly schema?: string; readonly value?: string }>
> = {
  'types_num.num_neg': {
    schema: 'a negative scale read as 2046 is no valid Avro decimal: a scale per value instead',
    value: 'the number itself, not one of 850 bytes',
  },
  'types_num.num_un': {
    schema: 'the record is defined at num_neg, and only named here',
    value: 'as many places as Postgres shows: Debezium strips zeros' },
  'types_num.m': { schema: 'the precision of 64 bits is known: 19 digits' },
  'types_num.bit8': { value: 'as many bytes as the column has bits, also if the first are zero' },
  'types_num.vb': { value: 'as many bytes as the value has bits, also if the first are zero' },
  'types_num.bit70': { value: 'as many bytes as the column has bits, also if the first are zero' },
  'types_text.mr': { schema: 'Debezium leaves the column out', value: 'the text of Postgres' },
  'types_text.comp': { schema: 'Debezium leaves the column out', value: 'the text of Postgres' },
  'types_text.ai2': {
    schema: 'an array of arrays, as declared',
    value: 'the elements, not nulls in their place',
  },
  'types_text.ae': { schema: 'elements may be null in Postgres' },
  'types_text.ats': { value: '-infinity, not a date in the year 292269055' },
  'types_time.ttz': { value: 'the offset is kept: to Postgres 12:00+00 and 13:00+01 differ' },
  'types_time.d': { value: 'proleptic Gregorian in the snapshot, too; Debezium is right in the stream only' },
  'types_time.ts': { value: 'null and the text in a header, where 64 bits overflow' },
  'evolve.n1': {
    schema: 'the default that the column had; Debezium read the catalogue after it was renamed',
  },
  'defaults.g': { schema: 'generated columns are not streamed', value: 'not in the snapshot, then' },
  'defaults.b': { value: 'null where Postgres has null, not the default' },
};

/** The same under other values of `timePrecision`, by its value. */
export const modeDifferences: Readonly<
  Record<'connect' | 'microseconds', Readonly<Record<string, string>>>
> = {
  connect: {
    'types_time.d': 'proleptic Gregorian in the snapshot, too; Debezium is right in the stream only',
    'types_time.ttz': 'the offset is kept: to Postgres 12:00+00 and 13:00+01 differ',
  },
  microseconds: {
    'types_time.d': 'proleptic Gregorian in the snapshot, too; Debezium is right in the stream only',
    'types_time.ttz': 'the offset is kept: to Postgres 12:00+00 and 13:00+01 differ',
    'types_time.ts': 'null and the text in a header, where 64 bits overflow',
    'types_time.ts0': 'null and the text in a header, where 64 bits overflow',
    'types_time.ts3': 'null and the text in a header, where 64 bits overflow',
  },
};
