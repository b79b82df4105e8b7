import { firstOf, MillraceError, type ErrorCode } from '../../errors.ts';

/** An error as it goes from one thread to another: a plain clone would lose its code. */
export interface ErrorMessage {
  readonly name: string;
  readonly message: string;
  readonly stack?: string | undefined;
  readonly cause?: ErrorMessage | undefined;
  readonly code?: ErrorCode;
  readonly place?: string | undefined;
  readonly expected?: string | undefined;
  readonly remedy?: string;
}

export function errorMessage(caught: unknown): ErrorMessage {
  const error = firstOf(caught);
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  const { name, message, stack } = error;
  const cause = error.cause === undefined ? undefined : errorMessage(error.cause);
  if (!(error instanceof MillraceError)) return { name, message, stack, cause };
  const { code, place, expected, remedy } = error;
  return { name, message, stack, cause, code, place, expected, remedy };
}

export function errorOf(from: ErrorMessage): Error {
  const { name, message, stack, code, place, expected, remedy } = from;
  const cause = from.cause === undefined ? undefined : errorOf(from.cause);
  const error =
    code === undefined
      ? Object.assign(new Error(message, { cause }), { name })
      : new MillraceError(code, message, {
          cause,
          ...(place === undefined ? {} : { place }),
          ...(expected === undefined ? {} : { expected }),
          ...(remedy === undefined ? {} : { remedy }),
        });
  if (stack !== undefined) error.stack = stack;
  return error;
}
