/**
 * The seed of a property test: `SEED=` replays a failure, whose message prints the seed it had.
 * `PROPERTY_SECONDS=` lets each property run for that long instead of a number of runs.
 */
export function propertySeed(): {
  seed?: number;
  numRuns?: number;
  interruptAfterTimeLimit?: number;
} {
  const seed = process.env['SEED'];
  const seconds = process.env['PROPERTY_SECONDS'];
  return {
    ...(seed === undefined ? {} : { seed: Number(seed) }),
    ...(seconds === undefined
      ? {}
      : { numRuns: 1e9, interruptAfterTimeLimit: Number(seconds) * 1000 }),
  };
}
