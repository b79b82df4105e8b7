import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { open as openFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { silent } from '../../log.ts';
import { CRASH_NAME } from '../../tests/conformance/broker-crash.ts';
import {
  freshTopic,
  readAll,
  record,
  settings,
  to,
  values,
} from '../../tests/conformance/broker-under-test.ts';
import { crashTopics } from '../../tests/conformance/broker-writer.ts';
import { noise } from '../../tests/noise.ts';
import { temporaryFolder } from '../../tests/temporary-folder.ts';
import { openEmbedded, type Embedded, type EmbeddedOptions } from './embedded.ts';

const writer = join(import.meta.dirname, '../../tests/conformance/embedded-writer.ts');

const open = (path: string, options: Omit<EmbeddedOptions, 'path'> = {}): Promise<Embedded> =>
  openEmbedded({ path, ...options }, silent);

test('a second user of the file is told the pid of the first', async () => {
  const path = await temporaryFolder();
  await using first = await open(path);
  await expect(open(path)).rejects.toMatchObject({
    code: 'BROKER_IN_USE',
    message: `The embedded broker is in use by pid ${process.pid}.`,
  });
  expect((await first.broker.describe()).topics).toEqual([]);
});

test('the file of a killed process is free at once, and a living one keeps it', async () => {
  const path = await temporaryFolder();
  {
    await using before = await open(path);
    const topics = Object.values(crashTopics(CRASH_NAME));
    await before.broker.createTopics(topics.map((topic) => settings(topic)));
  }
  const child = spawn(process.execPath, [writer, path, CRASH_NAME], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  await once(child.stdout, 'data');
  await expect(open(path)).rejects.toMatchObject({
    code: 'BROKER_IN_USE',
    message: `The embedded broker is in use by pid ${child.pid}.`,
  });
  child.kill('SIGKILL');
  await exited;
  await using after = await open(path);
  expect((await after.broker.describe()).topics.length).toBe(3);
});

test('what is not a broker file is refused, not overwritten', async () => {
  const path = await temporaryFolder();
  const file = join(path, 'broker.sqlite');
  await writeFile(file, 'this is a text of somebody else'.repeat(100));
  await expect(open(path)).rejects.toMatchObject({ code: 'BROKER_CORRUPT' });
  expect((await stat(file)).size).toBe(3100);
  await truncate(file, 0);
  {
    await using fresh = await open(path);
    expect((await fresh.broker.describe()).topics).toEqual([]);
  }
  using later = new DatabaseSync(file);
  later.exec('PRAGMA user_version = 99');
  later.close();
  await expect(open(path)).rejects.toMatchObject({ code: 'BROKER_CORRUPT' });
});

test('a folder that cannot be made is an error of the environment', async () => {
  const path = await temporaryFolder();
  await writeFile(join(path, 'file'), '');
  await expect(open(join(path, 'file', 'below'))).rejects.toMatchObject({ code: 'ENVIRONMENT' });
});

test('a damaged record is noticed by its checksum and never delivered', async () => {
  const path = await temporaryFolder();
  const topic = freshTopic();
  const body = Buffer.concat([Buffer.from('MARK'), noise(3000)]);
  {
    await using embedded = await open(path);
    await embedded.broker.createTopics([settings(topic)]);
    await embedded.broker.publish([
      { ...to(topic, 0, [{ key: null, value: body, timestamp: 1 }]) },
    ]);
  }
  const file = await openFile(join(path, 'broker.sqlite'), 'r+');
  const content = await file.readFile();
  const at = content.indexOf('MARK');
  expect(at).toBeGreaterThan(0);
  await file.write(Buffer.from('MASK'), 0, 4, at);
  await file.close();
  await using embedded = await open(path);
  await expect(readAll(embedded.broker, topic)).rejects.toMatchObject({ code: 'BROKER_CORRUPT' });
});

/** A file system of 4 MiB; null where it cannot be had. */
function smallDisk(path: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', path], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

test('a full disk is an error with a code, loses nothing, and space makes it go on', async ({
  skip,
}) => {
  const path = await temporaryFolder();
  if (!smallDisk(path)) skip('a small tmpfs cannot be mounted: root is needed');
  onTestFinished(() => void execFileSync('umount', ['-l', path]));
  const topic = freshTopic();
  const { broker, ...embedded } = await open(path);
  await broker.createTopics([settings(topic)]);
  const outgoing = (value: string) => [
    to(topic, 0, [
      { key: Buffer.from(value), value: noise(100_000), timestamp: 1 },
      record('end', value),
    ]),
  ];
  let written = 0;
  const fill = async (): Promise<void> => {
    for (; written < 1000; written++) await broker.publish(outgoing(`${written}`));
  };
  await expect(fill()).rejects.toMatchObject({ code: 'BROKER_FULL' });
  expect(written).toBeGreaterThan(3);
  await expect(broker.publish(outgoing('again'))).rejects.toMatchObject({ code: 'BROKER_FULL' });
  const whole = (await readAll(broker, topic)).filter(({ key }) => key === 'end');
  expect(values(whole)).toEqual(Array.from({ length: written }, (_, index) => `${index}`));
  execFileSync('mount', ['-o', 'remount,size=16m', path]);
  await broker.publish(outgoing(`${written++}`));
  await embedded[Symbol.asyncDispose]();
  await using again = await open(path);
  const after = (await readAll(again.broker, topic)).filter(({ key }) => key === 'end');
  expect(values(after)).toEqual(Array.from({ length: written }, (_, index) => `${index}`));
  expect(existsSync(join(path, 'broker.sqlite'))).toBe(true);
});

test('the registry lives in the same file', async () => {
  const path = await temporaryFolder();
  const id = await (async () => {
    await using embedded = await open(path);
    return embedded.registry.register('s', 'string');
  })();
  await using embedded = await open(path, { fsync: false });
  expect(await embedded.registry.byId(id)).toBe('string');
});
