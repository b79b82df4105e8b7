/**
 * Two clocks. `wall` is what people and databases read, in ms since 1970: it may be set forward or back at
 * any time, so it says when something was and never how long something took. `elapsed` only goes on, in ms
 * since some moment.
 */
export interface Clock {
  readonly wall: () => number;
  readonly elapsed: () => number;
}

export const systemClock: Clock = {
  wall: () => Date.now(),
  elapsed: () => performance.now(),
};
