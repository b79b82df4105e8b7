import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silent } from '../../log.ts';
import { brokerConformance } from '../../tests/conformance/broker.ts';
import { CRASH_NAME } from '../../tests/conformance/broker-crash.ts';
import type { BrokerUnderTest } from '../../tests/conformance/broker-under-test.ts';
import { openEmbedded } from './embedded.ts';

const writer = join(import.meta.dirname, '../../tests/conformance/embedded-writer.ts');

async function open(): Promise<BrokerUnderTest> {
  const path = await mkdtemp(join(tmpdir(), 'millrace-broker-'));
  let embedded = await openEmbedded({ path }, silent);
  return {
    get broker() {
      return embedded.broker;
    },
    async reopen() {
      await embedded[Symbol.asyncDispose]();
      embedded = await openEmbedded({ path }, silent);
    },
    maintain: (now) => embedded.maintain(now),
    another: () => Promise.reject(new Error('one process at a time')),
    async startWriter() {
      await embedded[Symbol.asyncDispose]();
      return spawn(process.execPath, [writer, path, CRASH_NAME], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
    },
    async [Symbol.asyncDispose]() {
      await embedded[Symbol.asyncDispose]();
      await rm(path, { recursive: true });
    },
  };
}

brokerConformance('embedded', {
  open,
  cannot: { 'two at once': 'the file admits one process; the second gets BROKER_IN_USE' },
});
