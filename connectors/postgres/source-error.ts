import { DatabaseError } from 'pg';
import { MillraceError, type ErrorCode } from '../../errors.ts';

/** SQLSTATE (PostgreSQL, appendix A) of what the server says, by what it means to a connector. */
const STATES: Readonly<Record<string, ErrorCode>> = {
  '28000': 'SOURCE_AUTH',
  '28P01': 'SOURCE_AUTH',
  '3D000': 'CONFIG_INVALID',
  '42501': 'SOURCE_PRIVILEGE',
  // A column or table that was there when we looked.
  '42703': 'SOURCE_TABLE_CHANGED',
  '42P01': 'SOURCE_TABLE_CHANGED',
  '53300': 'SOURCE_UNREACHABLE',
  '53400': 'SLOTS_EXHAUSTED',
  '55006': 'SLOT_IN_USE',
  '57P01': 'SOURCE_DISCONNECTED',
  '57P02': 'SOURCE_DISCONNECTED',
  '57P03': 'SOURCE_UNREACHABLE',
  '57P05': 'SOURCE_DISCONNECTED',
  '58P01': 'SLOT_LOST',
  '08000': 'SOURCE_DISCONNECTED',
  '08003': 'SOURCE_DISCONNECTED',
  '08006': 'SOURCE_DISCONNECTED',
  '08P01': 'PROTOCOL_UNEXPECTED',
};

const NETWORK: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: 'SOURCE_UNREACHABLE',
  ENOTFOUND: 'SOURCE_UNREACHABLE',
  EAI_AGAIN: 'SOURCE_UNREACHABLE',
  EHOSTUNREACH: 'SOURCE_UNREACHABLE',
  ENETUNREACH: 'SOURCE_UNREACHABLE',
  ETIMEDOUT: 'SOURCE_UNREACHABLE',
  ENOENT: 'SOURCE_UNREACHABLE',
  ECONNRESET: 'SOURCE_DISCONNECTED',
  ECONNABORTED: 'SOURCE_DISCONNECTED',
  EPIPE: 'SOURCE_DISCONNECTED',
  ERR_STREAM_PREMATURE_CLOSE: 'SOURCE_DISCONNECTED',
  ERR_STREAM_DESTROYED: 'SOURCE_DISCONNECTED',
  ERR_TLS_CERT_ALTNAME_INVALID: 'SOURCE_TLS',
};

/** OpenSSL's verdicts on a certificate, such as `SELF_SIGNED_CERT_IN_CHAIN`. */
const CERTIFICATE = /CERT|UNABLE_TO_VERIFY|^ERR_SSL_|^ERR_OSSL_/;

/**
 * A coded error for what `pg` or the socket threw; what is not known stays what it is, and stops the
 * pipeline. `states` says what an SQLSTATE means where it means something else than usual.
 */
export function sourceError(
  error: unknown,
  place: string,
  states: Readonly<Record<string, ErrorCode>> = {},
): unknown {
  if (error instanceof MillraceError || !(error instanceof Error)) return error;
  const state = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (error instanceof DatabaseError && isOfRow(state)) {
    // The server's own words have the value in them, and so would the cause.
    const message = `The server cannot compute with a value of a row (SQLSTATE ${state}).`;
    return new MillraceError('SOURCE_CONDITION', message, { place });
  }
  const code = error instanceof DatabaseError ? (states[state] ?? STATES[state]) : network(error);
  if (code === undefined) return error;
  return new MillraceError(code, sentence(error.message), { place, cause: error });
}

/**
 * Data exceptions: of all that we ask only a condition computes with values. An invalid parameter is one
 * of a command.
 */
function isOfRow(state: string): boolean {
  return state.startsWith('22') && state !== '22023';
}

function network(error: Error): ErrorCode | undefined {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (NETWORK[code] !== undefined) return NETWORK[code];
  if (CERTIFICATE.test(code)) return 'SOURCE_TLS';
  if (error instanceof AggregateError) {
    // Node tries every address of a name and reports all of them.
    const [first] = error.errors as unknown[];
    return first instanceof Error ? network(first) : undefined;
  }
  // `pg` has no codes for its own messages; these are all that it says of a connection.
  if (/^Connection terminated|not queryable|Client was closed/.test(error.message)) {
    return 'SOURCE_DISCONNECTED';
  }
  if (error.message.startsWith('timeout expired')) return 'SOURCE_UNREACHABLE';
  if (/does not support SSL|establishing an SSL connection/.test(error.message)) {
    return 'SOURCE_TLS';
  }
  return /password must be a string/i.test(error.message) ? 'SOURCE_AUTH' : undefined;
}

function sentence(text: string): string {
  const upper = text.charAt(0).toUpperCase() + text.slice(1);
  return upper.endsWith('.') ? upper : `${upper}.`;
}

/** The server cannot be reached, or not any more: what was asked may be asked again. */
export function isLost(error: unknown): boolean {
  return (
    error instanceof MillraceError &&
    (error.code === 'SOURCE_DISCONNECTED' || error.code === 'SOURCE_UNREACHABLE')
  );
}
