import type { AvroAnnotated, AvroArray, AvroNamed, AvroSchema } from './avro.ts';

/** The semantic types that are records and arrays, as Debezium's connectors write them through Confluent's converter. */

const optional = (type: AvroSchema): AvroSchema => ['null', type];

export const int16: AvroAnnotated = { type: 'int', 'connect.type': 'int16' };

const variableDecimal: AvroNamed & Named = {
  type: 'record',
  name: 'VariableScaleDecimal',
  namespace: 'io.debezium.data',
  fields: [
    { name: 'scale', type: 'int' },
    { name: 'value', type: 'bytes' },
  ],
  'connect.doc': 'Variable scaled decimal',
  'connect.version': 1,
  'connect.name': 'io.debezium.data.VariableScaleDecimal',
};

const point: AvroNamed & Named = {
  type: 'record',
  name: 'Point',
  namespace: 'io.debezium.data.geometry',
  fields: [
    { name: 'x', type: 'double' },
    { name: 'y', type: 'double' },
    { name: 'wkb', type: optional('bytes'), default: null },
    { name: 'srid', type: optional('int'), default: null },
  ],
  'connect.doc': 'Geometry (POINT)',
  'connect.version': 1,
  'connect.name': 'io.debezium.data.geometry.Point',
};

const geometry: AvroNamed & Named = {
  type: 'record',
  name: 'Geometry',
  namespace: 'io.debezium.data.geometry',
  fields: [
    { name: 'wkb', type: 'bytes' },
    { name: 'srid', type: optional('int'), default: null },
    { name: 'extensions', type: optional({ type: 'map', values: 'string' }), default: null },
  ],
  'connect.doc': 'Geometry',
  'connect.version': 2,
  'connect.name': 'io.debezium.data.geometry.Geometry',
};

const geography: AvroNamed & Named = {
  type: 'record',
  name: 'Geography',
  namespace: 'io.debezium.data.geometry',
  fields: [
    { name: 'wkb', type: 'bytes' },
    { name: 'srid', type: optional('int'), default: null },
  ],
  'connect.doc': 'Geography',
  'connect.version': 1,
  'connect.name': 'io.debezium.data.geometry.Geography',
};

const sparseVector: AvroNamed & Named = {
  type: 'record',
  name: 'SparseDoubleVector',
  namespace: 'io.debezium.data',
  fields: [
    { name: 'dimensions', type: int16 },
    {
      name: 'vector',
      // Avro's maps have keys of text; Connect's converter writes any other map so.
      type: {
        type: 'array',
        items: {
          type: 'record',
          name: 'MapEntry',
          namespace: 'io.confluent.connect.avro',
          fields: [
            { name: 'key', type: int16 },
            { name: 'value', type: 'double' },
          ],
        },
      },
    },
  ],
  'connect.doc': 'Sparse double vector',
  'connect.version': 1,
  'connect.name': 'io.debezium.data.SparseDoubleVector',
};

const vector = (items: 'double' | 'float', name: string): AvroArray & Named => ({
  type: 'array',
  items,
  'connect.version': 1,
  'connect.name': name,
});

interface Named {
  readonly 'connect.name': string;
}

/** By the kind of the semantic type. */
export const FORMS = {
  'variable-decimal': variableDecimal,
  point,
  geometry,
  geography,
  'sparse-vector': sparseVector,
  'double-vector': vector('double', 'io.debezium.data.DoubleVector'),
  'float-vector': vector('float', 'io.debezium.data.FloatVector'),
} as const;
