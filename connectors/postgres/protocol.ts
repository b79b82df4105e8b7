import { DatabaseError } from 'pg';

/** Types of backend messages (PostgreSQL, "Message Formats") that a copying connection gets. */
export const BACKEND = {
  commandComplete: 0x43,
  copyBoth: 0x57,
  copyData: 0x64,
  copyDone: 0x63,
  copyOut: 0x48,
  error: 0x45,
  notice: 0x4e,
  parameter: 0x53,
  readyForQuery: 0x5a,
} as const;

/** A simple query. */
export function queryMessage(sql: string): Buffer {
  return frontendMessage('Q', Buffer.from(`${sql}\0`));
}

export function terminateMessage(): Buffer {
  return frontendMessage('X', Buffer.alloc(0));
}

export function frontendMessage(type: string, content: Buffer): Buffer {
  const head = Buffer.from([type.charCodeAt(0), 0, 0, 0, 0]);
  head.writeInt32BE(4 + content.length, 1);
  return Buffer.concat([head, content]);
}

/** An ErrorResponse as `pg` would throw it: fields of u8 code and cstring, up to a zero. */
export function serverError(content: Buffer): DatabaseError {
  const fields = new Map(
    content
      .toString('utf8')
      .split('\0')
      .filter((field) => field !== '')
      .map((field) => [field.charAt(0), field.slice(1)]),
  );
  const message = fields.get('M') ?? 'the server reported an error';
  const error = new DatabaseError(message, content.length, 'error');
  error.code = fields.get('C');
  return error;
}
