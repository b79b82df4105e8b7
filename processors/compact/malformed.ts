import { MillraceError } from '../../errors.ts';

/** A record that no connector writes. */
export function malformed(message: string, place?: string): MillraceError {
  return new MillraceError('RECORD_MALFORMED', message, {
    expected: 'a change event of a source, with op and version beside it',
    ...(place === undefined ? {} : { place }),
  });
}
