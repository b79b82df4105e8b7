/** How numeric and money travel: exactly, as text, or as a float. */
export type DecimalMode = 'precise' | 'string' | 'double';

/**
 * How date, time and timestamp travel: in the unit that their precision asks for (times always in
 * microseconds, if so said), as Kafka Connect's own types in milliseconds, as ISO 8601 text, or all in
 * one unit.
 */
export type TimeMode =
  | 'adaptive'
  | 'adaptive_time_microseconds'
  | 'connect'
  | 'isostring'
  | 'microseconds'
  | 'nanoseconds';

export type IntervalMode = 'numeric' | 'string';
export type HstoreMode = 'json' | 'map';
export type BinaryMode = 'bytes' | 'base64' | 'base64-url-safe' | 'hex';

/** In which of the forms that Debezium knows values travel, where a user has the choice. */
export interface TypeModes {
  readonly decimal: DecimalMode;
  readonly time: TimeMode;
  readonly interval: IntervalMode;
  readonly hstore: HstoreMode;
  readonly binary: BinaryMode;
}

/** Debezium's defaults. */
export const DEFAULT_MODES: TypeModes = {
  decimal: 'precise',
  time: 'adaptive',
  interval: 'numeric',
  hstore: 'json',
  binary: 'bytes',
};
