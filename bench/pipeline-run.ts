import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { guard } from '../cli/demo/guard.ts';
import { findRunning, type Remote } from '../console/client.ts';
import { benchYaml, type Place } from './bench-config.ts';
import type { Run } from './hop.ts';
import { profileArguments } from './profile.ts';

const POLL_MS = 5;
const never = new AbortController().signal;

/** `millrace run` in a process of its own, with what the kernel says it has used. */
export class PipelineRun implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #watch: Disposable;
  #began = performance.now();
  #cpuSecondsBefore = 0;
  #remote: Remote | null = null;

  constructor(place: Place) {
    const { folder, profile = null } = place;
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'millrace.yaml'), benchYaml(place));
    const main = join(import.meta.dirname, '../main.ts');
    this.#folder = folder;
    this.#child = spawn(process.execPath, [...profileArguments(profile), main, 'run'], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    this.#watch = guard(this.#child.pid ?? 0, 'KILL');
  }

  /** Answers once the pipeline does. */
  async remote(): Promise<Remote> {
    while (this.#remote === null) {
      if (this.#child.exitCode !== null) throw new Error('the pipeline ended by itself');
      const found = await findRunning(join(this.#folder, 'broker'), 'bench', never);
      if (found === null) await sleep(POLL_MS);
      else this.#remote = found;
    }
    return this.#remote;
  }

  /** Waits until every stage runs and the sink has nothing before it. */
  async idle(): Promise<void> {
    const remote = await this.remote();
    for (;;) {
      const { stages } = await remote.status();
      const open = stages.every(({ state }) => state === 'running');
      if (open && stages.every(({ behindRecords }) => (behindRecords ?? 0) === 0)) return;
      await sleep(POLL_MS * 4);
    }
  }

  /** Holds the process still, as it is, while its source goes on. */
  hold(): void {
    this.#child.kill('SIGSTOP');
  }

  /** Lets it go on; what it takes is counted from here. */
  release(): void {
    this.#cpuSecondsBefore = usage(this.#child.pid ?? 0).cpuSeconds;
    this.#began = performance.now();
    this.#child.kill('SIGCONT');
  }

  /** Waits until the sink has applied so many changes since this process started. */
  async applied(changes: number): Promise<void> {
    const remote = await this.remote();
    for (;;) {
      if (this.#child.exitCode !== null) throw new Error('the pipeline ended by itself');
      const { stages } = await remote.status();
      if ((stages.find(({ kind }) => kind === 'sink')?.changes ?? 0) >= changes) return;
      await sleep(POLL_MS * 4);
    }
  }

  /** What this process has taken since it was started, with its own start, or since it was released. */
  measured(events: number, disk: () => number | null = () => null): Run {
    const seconds = (performance.now() - this.#began) / 1000;
    const { cpuSeconds, rssBytes } = usage(this.#child.pid ?? 0);
    return {
      events,
      seconds,
      cpuSeconds: cpuSeconds - this.#cpuSecondsBefore,
      rssBytes,
      diskBytes: disk(),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) {
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      await ended;
    }
    this.#watch[Symbol.dispose]();
  }
}

/** From /proc (Linux): processor time of all threads, and the most memory it ever had. */
function usage(pid: number): Pick<Run, 'cpuSeconds' | 'rssBytes'> {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // Fields after the name, which may hold spaces: utime and stime are the 14th and 15th of all.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  const high = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return { cpuSeconds: ticks / 100, rssBytes: Number(high?.[1] ?? 0) * 1024 };
}
