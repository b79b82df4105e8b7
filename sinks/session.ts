/** A connection to the sink's database, as far as the parts that are the same for every database need it. */
export interface Session {
  /** Runs statements separated by `;` and says how many rows the last one changed. */
  run(sql: string): Promise<number>;
  /** The rows of a query; 64-bit integers come as text. */
  rows(sql: string): Promise<readonly (readonly unknown[])[]>;
}
