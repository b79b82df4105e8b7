import type { Socket } from 'node:net';
import type { DatabaseError } from 'pg';
import { MillraceError, type ErrorCode } from '../../errors.ts';
import type { Connection } from './connection.ts';
import { formatLsn } from './lsn.ts';
import { MessageReader } from './message-reader.ts';
import {
  BACKEND,
  frontendMessage,
  queryMessage,
  serverError,
  terminateMessage,
} from './protocol.ts';
import { quoteName } from './server.ts';
import { sourceError } from './source-error.ts';
import type { StreamMessage } from './stream-message.ts';
import { int32At } from './types/type-codec.ts';

/**
 * The stream of a replication slot over a connection's socket (PostgreSQL, "Streaming Replication
 * Protocol"). After START_REPLICATION the socket is ours: `pg` has connected, encrypted and
 * authenticated it, and its parser, which makes an event and an object per message, is put aside.
 *
 * ```
 * server: CopyBothResponse W, then CopyData d with one of
 *   XLogData   w  i64 start LSN  i64 WAL end  i64 clock  one pgoutput message
 *   Keepalive  k  i64 WAL end  i64 clock  u8 1 if a reply is wanted
 * client: CopyData d with
 *   Status     r  i64 written  i64 flushed  i64 applied  i64 clock  u8 1 to ask for a reply
 * ```
 */
export interface WalHandler {
  /** Before the messages of what the socket gave. */
  chunkBegins(): void;
  /** One pgoutput message; the object is used again. False: stop until {@link WalReceiver.resume}. */
  change(message: StreamMessage): boolean;
  keepalive(walEnd: bigint, replyWanted: boolean): void;
  /** After them. False: stop until {@link WalReceiver.resume}. */
  chunkEnds(): boolean;
  /** At most once; nothing comes afterwards. */
  failed(error: unknown): void;
}

const EMPTY = Buffer.alloc(0);
const XLOG_DATA = 'w'.charCodeAt(0);
const STATUS = 'r'.charCodeAt(0);
const KEEPALIVE = 'k'.charCodeAt(0);
const XLOG_HEAD_BYTES = 25;
/** From Postgres' zero of time, 2000-01-01, to 1970. */
const EPOCH_MS = 946_684_800_000;

/**
 * The server sends every change with a call of its own, and on TCP wakes the reader for each: both lose
 * half their speed to that. After a short read the socket rests this long, so that the kernel fills
 * its buffer meanwhile. A Unix socket has too small a buffer for it (measured: six times slower), and
 * TLS cuts what it reads into records, so short reads say nothing there.
 */
const REST_MS = 1;
/** How long the server may take to close; in the middle of a transaction it would not listen. */
const CLOSE_MS_MAX = 200;
const SHORT_READ_BYTES = 32 * 1024;

export interface WalReceiverOptions {
  readonly slot: string;
  readonly publication: string;
  /** Commits before it are not sent; 0 for what the slot has confirmed. */
  readonly startLsn: bigint;
  readonly binary: boolean;
}

export class WalReceiver {
  readonly #connection: Connection;
  readonly #socket: Socket;
  readonly #handler: WalHandler;
  readonly #messages = new MessageReader();
  readonly #mayRest: boolean;
  readonly #change: StreamMessage = { bytes: EMPTY, start: 0, end: 0, lsnHigh: 0, lsnLow: 0 };
  #held = false;
  #resting: NodeJS.Timeout | null = null;
  readonly #silenceMsMax: number;
  #heardAt = performance.now();
  #started = false;
  #ended = false;

  constructor(connection: Connection, handler: WalHandler, silenceMsMax: number) {
    this.#silenceMsMax = silenceMsMax;
    this.#connection = connection;
    this.#socket = connection.socket;
    this.#handler = handler;
    this.#mayRest = !('encrypted' in this.#socket) && this.#socket.remoteAddress !== undefined;
  }

  /** Takes the socket over. What the server refuses comes to `failed`, as does everything later. */
  start(options: WalReceiverOptions): void {
    const socket = this.#socket;
    socket.removeAllListeners('data');
    socket.on('data', this.#onData);
    socket.on('error', this.#fail);
    socket.on('close', this.#onClose);
    const { slot, publication, startLsn, binary } = options;
    const plugin = [
      `proto_version '1'`,
      `publication_names '${quoteName(publication).replaceAll("'", "''")}'`,
      `messages 'true'`,
      ...(binary ? [`binary 'true'`] : []),
    ];
    const from = `SLOT ${quoteName(slot)} LOGICAL ${formatLsn(startLsn)}`;
    socket.write(queryMessage(`START_REPLICATION ${from} (${plugin.join(', ')})`));
  }

  /** Goes on after a `false`. */
  resume(): void {
    if (!this.#held || this.#ended) return;
    this.#held = false;
    this.#read();
    if (!this.#held && this.#resting === null && !this.#ended) this.#socket.resume();
  }

  /**
   * Tells the server what we have read, and what it may forget (I1: only what was acknowledged). A server
   * that was silent for half of the patience is asked to answer; a network that swallows everything
   * does not end a connection by itself.
   */
  sendStatus(written: bigint, flushed: bigint): void {
    const silentMs = this.#held ? 0 : performance.now() - this.#heardAt;
    if (this.#held) this.#heardAt = performance.now();
    if (silentMs > this.#silenceMsMax) {
      this.#fail(new MillraceError('SOURCE_DISCONNECTED', 'The server has fallen silent.'));
    }
    if (!this.#started || this.#ended || !this.#socket.writable) return;
    const status = Buffer.alloc(34);
    status[0] = STATUS;
    status.writeBigInt64BE(written, 1);
    status.writeBigInt64BE(flushed, 9);
    status.writeBigInt64BE(flushed, 17);
    status.writeBigInt64BE(BigInt(Date.now() - EPOCH_MS) * 1000n, 25);
    if (silentMs > this.#silenceMsMax / 2) status[33] = 1;
    this.#socket.write(frontendMessage('d', status));
  }

  /** Lets go of the socket; nothing is delivered afterwards. The last status still goes out. */
  async stop(): Promise<void> {
    this.#ended = true;
    const socket = this.#socket;
    if (this.#resting !== null) clearTimeout(this.#resting);
    socket.off('data', this.#onData);
    if (socket.destroyed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.once('close', () => resolve());
    const patience = setTimeout(() => socket.destroy(), CLOSE_MS_MAX);
    // The server closes when its process ends, and by then the slot is free again.
    socket.end(terminateMessage());
    socket.resume();
    await promise;
    clearTimeout(patience);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#ended) return;
    this.#heardAt = performance.now();
    this.#messages.push(chunk);
    if (this.#held) return;
    this.#read();
    if (this.#mayRest && !this.#held && !this.#ended && chunk.length < SHORT_READ_BYTES)
      this.#rest();
  };

  #rest(): void {
    this.#socket.pause();
    this.#resting ??= setTimeout(() => {
      this.#resting = null;
      if (!this.#held && !this.#ended) this.#socket.resume();
    }, REST_MS);
  }

  #read(): void {
    try {
      this.#handler.chunkBegins();
      if (!this.#readMessages() || !this.#handler.chunkEnds()) this.hold();
    } catch (error) {
      this.#fail(error);
    }
  }

  #readMessages(): boolean {
    const messages = this.#messages;
    while (!this.#ended && messages.next()) {
      if (messages.type !== BACKEND.copyData) this.#control(messages);
      else if (!this.#copyData(messages)) return false;
    }
    return true;
  }

  /** Nothing more is read until {@link resume}. */
  hold(): void {
    this.#held = true;
    this.#socket.pause();
  }

  #copyData({ bytes, start, end }: MessageReader): boolean {
    const kind = bytes[start];
    if (kind === XLOG_DATA) {
      const change = this.#change;
      change.bytes = bytes;
      change.start = start + XLOG_HEAD_BYTES;
      change.end = end;
      change.lsnHigh = int32At(bytes, start + 1);
      change.lsnLow = int32At(bytes, start + 5);
      return this.#handler.change(change);
    }
    if (kind === KEEPALIVE) {
      this.#handler.keepalive(bytes.readBigInt64BE(start + 1), bytes[start + 17] === 1);
    }
    return true;
  }

  #control({ type, bytes, start, end }: MessageReader): void {
    switch (type) {
      case BACKEND.copyBoth:
        this.#started = true;
        return;
      case BACKEND.error:
        this.#fail(serverError(bytes.subarray(start, end)));
        return;
      // A server that shuts down completes the command without ending the copy.
      case BACKEND.commandComplete:
      case BACKEND.copyDone:
        this.#fail(new MillraceError('SOURCE_DISCONNECTED', 'The server ended the stream.'));
        return;
      case BACKEND.notice:
        this.#notice(serverError(bytes.subarray(start, end)));
        return;
      case BACKEND.parameter:
        return;
      default:
        this.#fail(
          new MillraceError(
            'PROTOCOL_UNEXPECTED',
            'The server sent a message that has no place here.',
            {
              place: `type ${type}`,
              expected: 'CopyData',
            },
          ),
        );
    }
  }

  /** Since version 18 a missing publication is a warning, after which changes are left out. */
  #notice({ code, message }: DatabaseError): void {
    if (code !== '55000') return;
    this.#fail(new MillraceError('PUBLICATION_LOST', `The server warns: ${message}.`));
  }

  readonly #onClose = (): void => {
    this.#fail(new MillraceError('SOURCE_DISCONNECTED', 'The server closed the connection.'));
  };

  readonly #fail = (error: unknown): void => {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#resting !== null) clearTimeout(this.#resting);
    const states = this.#started ? STATES_STREAMING : STATES_STARTING;
    this.#handler.failed(sourceError(error, this.#connection.place, states));
    this.#socket.destroy();
  };
}

/** What SQLSTATEs mean here: an object that does not exist is the slot at first, later the publication. */
const STATES_STARTING: Readonly<Record<string, ErrorCode>> = {
  '42704': 'SLOT_LOST',
  '55000': 'SLOT_LOST',
  '53300': 'SLOTS_EXHAUSTED',
};
const STATES_STREAMING: Readonly<Record<string, ErrorCode>> = {
  '42704': 'PUBLICATION_LOST',
  '55000': 'SLOT_LOST',
};
