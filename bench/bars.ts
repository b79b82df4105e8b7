/** What a hop is held against: events per second, with where the figure comes from. */
export interface Bar {
  /** What the bare operations reach on two cores, with nothing around them. */
  readonly limit: string;
  /** What others reach on the same machine with the same kind of load. */
  readonly peer: string;
}

/**
 * Measured on 2 cores (AMD EPYC, Zen 5 family), 23.5 GiB, ext4, PostgreSQL 15 and 18, everything on
 * the same machine. Peers: Debezium 3.7 in Kafka Connect 4.3 with Avro, its best five seconds; the
 * Debezium engine with a Python loader (dlt) into DuckDB.
 */
export const bars: Readonly<Record<string, Bar>> = {
  'snapshot-to-raw': { limit: '940 k (COPY to Avro)', peer: '52 k (Debezium to Kafka)' },
  'stream-to-raw': { limit: '362 k (decode to Avro)', peer: '49 k (Debezium to Kafka)' },
  compact: { limit: '2.4 M (keys in memory)', peer: '' },
  'topic-to-duckdb': {
    limit: '218 k (10 k batches), 394 k (100 k)',
    peer: '13.5 k (JDBC sink to Postgres)',
  },
  'snapshot-end-to-end': { limit: '', peer: '2.5 k (Debezium and dlt to DuckDB)' },
  'stream-end-to-end': { limit: '', peer: '2.0 k (same; wrong result)' },
  latency: {
    limit: '0.5 ms capture and 3 durable commits',
    peer: '442 / 954 ms (Debezium and dlt to DuckDB)',
  },
};
