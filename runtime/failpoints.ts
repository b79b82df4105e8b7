/**
 * The moments between two durable steps, where a crash must lose nothing and double nothing (I8).
 * Crash tests kill the process at each of them; otherwise reaching one does nothing.
 */
export const failpoints = [
  'source.read', // a batch is read, nothing of it is on a topic
  'source.published', // records and position are durable, the source does not know
  'source.acked',
  'processor.processed', // output is made, not published
  'processor.published', // output and consumed offsets are durable
  'sink.received', // a batch is read, nothing of it is in the sink
  'sink.written', // rows and ledger are durable, the broker's offsets are behind
  'sink.committed',
] as const;

export type Failpoint = (typeof failpoints)[number];

/** Called at each failpoint that is reached. */
export type Reach = (point: Failpoint) => void;

export const inert: Reach = () => {};

/**
 * Calls `kill` when a failpoint is reached for the nth time. `spec` is `name` or `name:nth`, the
 * first being 1; undefined arms nothing. Throws RangeError for a name that does not exist.
 */
export function armed(spec: string | undefined, kill: () => void): Reach {
  if (spec === undefined || spec === '') return inert;
  const [name, nth = '1'] = spec.split(':');
  const known = failpoints.find((point) => point === name);
  if (known === undefined || !/^[1-9]\d*$/.test(nth)) {
    throw new RangeError(
      `failpoint ${spec}: expected one of ${failpoints.join(', ')}, or name:nth`,
    );
  }
  let left = Number(nth);
  return (point) => {
    if (point === known && --left === 0) kill();
  };
}
