/** The seed of a run's random samples, printed so that `SEED=` repeats it. */
export const seed = Number(process.env['SEED'] ?? Math.trunc(Math.random() * 2 ** 31));
console.info(`SEED=${seed}`);
