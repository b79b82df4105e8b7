/** Columns that the source did not send: a JSON array, with what stands for them in the image to be ignored. */
export const UNCHANGED_HEADER = Buffer.from('millrace.unchanged');

/**
 * JSON of what the record's types cannot say: by image or `key`, pairs of column and Postgres' own text.
 * Pairs, since V8 13.6 (Node 24) mistakes names of properties that have escapes for one another.
 */
export const EXACT_HEADER = Buffer.from('millrace.exact');

/** Debezium's: on the delete of the old key of a key change, and on the insert of the new one. */
export const NEW_KEY = Buffer.from('__debezium.newkey');
export const OLD_KEY = Buffer.from('__debezium.oldkey');

/** On such an insert that lacks values: the partition of the old key as text, if it is another. */
export const OLD_PARTITION_HEADER = Buffer.from('millrace.oldpartition');
