import { MillraceError } from '../../errors.ts';

export function outside(what: string, type: string): MillraceError {
  return new MillraceError('VALUE_UNSUPPORTED', `${what} is outside the range of ${type}`);
}
