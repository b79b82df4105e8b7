import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { offset, type Broker, type TopicName } from '../../broker/broker.ts';
import { openKafka } from '../../broker/kafka/kafka.ts';
import { RecordCursor, RecordWriter } from '../../broker/records.ts';
import { directive } from '../../errors.ts';
import { silent } from '../../log.ts';
import { freshTopic, settings } from '../conformance/broker-under-test.ts';
import type { TestKafka } from './kafka.ts';

const program = join(import.meta.dirname, 'copy-worker.ts');
export const PARTITIONS = 6;
const { signal: never } = new AbortController();

/** Workers of one group that copy a topic to another while it grows, and what may befall them. */
export class CopyWorkers implements AsyncDisposable {
  readonly #kafka: TestKafka;
  readonly #input: TopicName;
  readonly #output: TopicName;
  readonly #workers: ChildProcess[] = [];
  readonly #broker: Broker;
  readonly #feeding = new AbortController();
  #feeder: Promise<number> = Promise.resolve(0);
  /** When a worker has copied something, in milliseconds: for pauses. */
  readonly #copiedAt: number[] = [];

  private constructor(kafka: TestKafka, broker: Broker) {
    this.#kafka = kafka;
    this.#broker = broker;
    this.#input = freshTopic('in');
    this.#output = freshTopic('out');
  }

  static async start(kafka: TestKafka, workers: number): Promise<CopyWorkers> {
    const { brokers } = kafka;
    const broker = await openKafka({ brokers, recordBytesMax: 1024 * 1024 }, silent);
    const started = new CopyWorkers(kafka, broker);
    const topics = [started.#input, started.#output];
    await broker.createTopics(topics.map((topic) => settings(topic, { partitions: PARTITIONS })));
    for (let index = 0; index < workers; index++) started.#spawn(index);
    started.#feeder = started.#feed();
    return started;
  }

  get count(): number {
    return this.#workers.length;
  }

  /** Ends a worker at once; another takes its place. */
  async kill(index: number): Promise<void> {
    const worker = this.#workers[index] as ChildProcess;
    const gone = once(worker, 'exit');
    worker.kill('SIGKILL');
    await gone;
    this.#spawn(index);
  }

  /** Stops a worker for so long: past its session it goes on as if it still held what it held. */
  async stall(index: number, ms: number): Promise<void> {
    const worker = this.#workers[index] as ChildProcess;
    worker.kill('SIGSTOP');
    await delay(ms);
    worker.kill('SIGCONT');
  }

  /** Ends the load, waits until all of it is copied, and compares. */
  async verdict(): Promise<{ readonly fed: number; readonly wrong: readonly string[] }> {
    this.#feeding.abort();
    const fed = await this.#feeder;
    const deadline = Date.now() + 90_000;
    let wrong = await this.#compare(fed);
    while (
      wrong.length > 0 &&
      wrong.every((text) => text.endsWith(MISSING)) &&
      Date.now() < deadline
    ) {
      await delay(500);
      wrong = await this.#compare(fed);
    }
    console.info(
      `${fed * PARTITIONS} records; the longest pause ${longestPause(this.#copiedAt)} ms`,
    );
    return { fed: fed * PARTITIONS, wrong };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#feeding.abort();
    await this.#feeder.catch(() => undefined);
    for (const worker of this.#workers) worker.kill('SIGKILL');
    await this.#broker[Symbol.asyncDispose]();
  }

  #spawn(index: number): void {
    const args = [
      this.#kafka.brokers.join(','),
      `${this.#input}-g`,
      this.#input,
      this.#output,
      `${PARTITIONS}`,
    ];
    const worker = spawn(process.execPath, [program, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    createInterface({ input: worker.stdout }).on('line', (line) => {
      if (line.startsWith('copied ')) this.#copiedAt.push(Date.now());
    });
    this.#workers[index] = worker;
  }

  /** Publishes 0, 1, 2 … to every partition until it is told to end; how many it has published. */
  async #feed(): Promise<number> {
    const producer = `${this.#input}-feeder`;
    const writers = Array.from({ length: PARTITIONS }, () => new RecordWriter());
    let next = 0;
    while (!this.#feeding.signal.aborted) {
      const end = next + 1 + Math.floor(Math.random() * 60);
      writers.forEach((records, partition) => {
        records.reset();
        for (let number = next; number < end; number++) {
          const key = Buffer.from(`${partition}/${number % 97}`);
          records.add({ key, value: Buffer.from(`${partition}:${number}`), timestamp: Date.now() });
        }
      });
      const outgoing = writers.map((records, partition) => ({
        topic: this.#input,
        partition,
        records,
      }));
      try {
        await this.#broker.publish(outgoing, { producer });
        next = end;
      } catch (error) {
        if (directive(error) !== 'retry') throw error;
        // Whether it was done is not known: then what is there says how far it has come.
        await this.#broker.fence(producer);
        next = (await this.#numbers(this.#input, 0)).length;
      }
      await delay(10);
    }
    return next;
  }

  async #numbers(topic: TopicName, partition: number): Promise<string[]> {
    const found: string[] = [];
    const from = { topic, partition, next: offset(0) };
    for await (const { segments } of this.#broker.read(from, never)) {
      for (const { bytes } of segments) {
        const cursor = new RecordCursor(bytes);
        while (cursor.next()) found.push(cursor.value()?.toString() ?? '');
      }
    }
    return found;
  }

  /** What is missing, double or out of order in the output; nothing if it is the input. */
  async #compare(fed: number): Promise<string[]> {
    const wrong: string[] = [];
    const seen = new Set<string>();
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const last = new Map<string, number>();
      for (const value of await this.#numbers(this.#output, partition)) {
        const [from = '', number = ''] = value.split(':');
        if (seen.has(value)) wrong.push(`${value} is there twice`);
        seen.add(value);
        // Records of a partition that come to one partition keep their order.
        if (Number(number) < (last.get(from) ?? -1)) wrong.push(`${value} is out of order`);
        last.set(from, Number(number));
      }
    }
    const missing = fed * PARTITIONS - seen.size;
    if (missing !== 0) wrong.push(`${missing}${MISSING}`);
    return wrong.slice(0, 10);
  }
}

const MISSING = ' records are missing';

/** The longest time between two copies, in milliseconds. */
function longestPause(times: readonly number[]): number {
  return times.reduce(
    (longest, time, index) => Math.max(longest, time - (times[index - 1] ?? time)),
    0,
  );
}
