import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { requireSuccess } from '../../broker/kafka/failure.ts';
import type { Message } from '../../broker/kafka/message.ts';

const ITERATIONS = 4096;
const mechanisms = {
  sha256: { number: 1, size: 32 },
  sha512: { number: 2, size: 64 },
} as const;

export interface ScramUser {
  readonly user: string;
  readonly password: string;
  readonly hash: keyof typeof mechanisms;
}

/** Gives a user a password for SCRAM: `AlterUserScramCredentialsRequest.json`. */
export const setScramPassword = ({ user, password, hash }: ScramUser): Message<void> => ({
  api: 51,
  name: 'AlterUserScramCredentials',
  version: 0,
  flexible: true,
  write(out) {
    const { number, size } = mechanisms[hash];
    const salt = randomBytes(16);
    const salted = pbkdf2Sync(password, salt, ITERATIONS, size, hash);
    out.compactArray([], () => undefined);
    out.compactArray([user], () => {
      out.compactString(user).int8(number).int32(ITERATIONS);
      for (const bytes of [salt, salted]) out.unsigned(bytes.length + 1).out.raw(bytes);
      out.noTags();
    });
    out.noTags();
  },
  read(answer) {
    answer.int32();
    answer.compactArray(() => {
      answer.compactString();
      const [error, explanation] = [answer.int16(), answer.compactString()];
      answer.skipTags();
      requireSuccess(error, explanation ?? user);
    });
  },
});
