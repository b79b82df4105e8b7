import type { AvroNamed } from './avro.ts';

/** What an envelope says of the transaction that its change belongs to. */
export const transactionBlock: AvroNamed = {
  type: 'record',
  name: 'block',
  namespace: 'event',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'total_order', type: 'long' },
    { name: 'data_collection_order', type: 'long' },
  ],
  'connect.version': 1,
  'connect.name': 'event.block',
};

const namespace = 'io.debezium.connector.common';

/** Key of the topic `<prefix>.transaction`. */
export const transactionKeySchema: AvroNamed = {
  type: 'record',
  name: 'TransactionMetadataKey',
  namespace,
  fields: [{ name: 'id', type: 'string' }],
  'connect.version': 1,
  'connect.name': `${namespace}.TransactionMetadataKey`,
};

const collection: AvroNamed = {
  type: 'record',
  name: 'collection',
  namespace: 'event',
  fields: [
    { name: 'data_collection', type: 'string' },
    { name: 'event_count', type: 'long' },
  ],
  'connect.version': 1,
  'connect.name': 'event.collection',
};

/** Its value: one record with `BEGIN` and one with `END` for each transaction. */
export const transactionValueSchema: AvroNamed = {
  type: 'record',
  name: 'TransactionMetadataValue',
  namespace,
  fields: [
    { name: 'status', type: 'string' },
    { name: 'id', type: 'string' },
    { name: 'event_count', type: ['null', 'long'], default: null },
    {
      name: 'data_collections',
      type: ['null', { type: 'array', items: ['null', collection] }],
      default: null,
    },
    { name: 'ts_ms', type: 'long' },
  ],
  'connect.version': 1,
  'connect.name': `${namespace}.TransactionMetadataValue`,
};
