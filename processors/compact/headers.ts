/**
 * Record headers of the compact stage.
 *
 * `millrace.unchanged`: JSON array of the columns that the source did not send and nobody knows, in
 * `after`, or for a delete in `before`. What stands in the image for them is a placeholder.
 */
export const UNCHANGED = Buffer.from('millrace.unchanged');

/**
 * What a record's types cannot say, as the source prints it: a JSON object with `key`, `before` and
 * `after` where there is something, each an object of text by column.
 */
export const EXACT = Buffer.from('millrace.exact');

/** Debezium's: on the delete of the old key of a key change, and on the insert of the new one. */
export const NEW_KEY = Buffer.from('__debezium.newkey');
export const OLD_KEY = Buffer.from('__debezium.oldkey');

/**
 * On such an insert that lacks columns: the partition of the old key as text, if it is another. The delete
 * is there, in `.changes`, with the columns.
 */
export const OLD_PARTITION = Buffer.from('millrace.oldpartition');

/**
 * On a tombstone of `.latest`: the value that `.changes` has for this delete, because the insert that
 * belongs to it has not arrived yet and may need columns of it.
 */
export const MOVED = Buffer.from('millrace.moved');

/** On tombstones of `.latest` that a truncate made, when all of it is there. */
export const TRUNCATED = Buffer.from('millrace.truncated');
