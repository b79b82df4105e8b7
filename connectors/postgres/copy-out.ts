import { MillraceError } from '../../errors.ts';
import type { Connection } from './connection.ts';
import { Doorbell } from './doorbell.ts';
import { MessageReader } from './message-reader.ts';
import { BACKEND, queryMessage, serverError } from './protocol.ts';

/** Takes the content of one CopyData message, `bytes[start, end)`; the bytes are used again. */
export type CopySink = (bytes: Buffer, start: number, end: number) => void;

/**
 * Runs a `COPY … TO STDOUT` and hands out its data message by message, without an object for each: there
 * is a message per row, and their objects cost a fifth of a snapshot. Yields after every read of the socket, so
 * that the caller can stop for as long as it likes. The connection has nothing else to do meanwhile, and
 * is `pg`'s again when the loop ends by itself.
 */
export async function* copyOut(
  connection: Connection,
  sql: string,
  sink: CopySink,
): AsyncGenerator<void> {
  const { socket } = connection;
  const messages = new MessageReader();
  const bell = new Doorbell();
  const listeners = socket.listeners('data') as ((chunk: Buffer) => void)[];
  const onData = (chunk: Buffer): void => {
    socket.pause();
    messages.push(chunk);
    bell.ring();
  };
  const onClose = (): void => bell.ring();
  socket.removeAllListeners('data');
  socket.on('data', onData);
  socket.once('close', onClose);
  socket.write(queryMessage(sql));
  let failure: Error | null = null;
  for (let ready = false; !ready;) {
    await bell.heard(connection.signal);
    while (!ready && messages.next()) {
      const { type, bytes, start, end } = messages;
      if (type === BACKEND.copyData) sink(bytes, start, end);
      else if (type === BACKEND.error) failure = serverError(bytes.subarray(start, end));
      else if (type === BACKEND.readyForQuery) ready = true;
      else expectControl(type);
    }
    if (!ready) {
      connection.signal.throwIfAborted();
      if (socket.destroyed) throw connection.lostError();
      yield;
      socket.resume();
    }
  }
  socket.off('data', onData);
  socket.off('close', onClose);
  for (const listener of listeners) {
    socket.on('data', listener);
    // A notice may have come behind the end of the command.
    if (messages.unread.length > 0) listener(Buffer.from(messages.unread));
  }
  socket.resume();
  if (failure !== null) throw connection.coded(failure);
}

const CONTROL: ReadonlySet<number> = new Set([
  BACKEND.copyOut,
  BACKEND.copyDone,
  BACKEND.commandComplete,
  BACKEND.notice,
  BACKEND.parameter,
]);

function expectControl(type: number): void {
  if (CONTROL.has(type)) return;
  throw new MillraceError(
    'PROTOCOL_UNEXPECTED',
    'The server sent a message that COPY does not have.',
    {
      place: `type ${type}`,
      expected: 'CopyData',
    },
  );
}
