import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { findRunning, type Remote } from '../../console/client.ts';
import type { Status } from '../../runtime/status.ts';

const program = join(import.meta.dirname, '../../main.ts');
const { signal: never } = new AbortController();

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface RunOptions {
  /** Where it kills itself, as in runtime/failpoints.ts. */
  readonly failpoint?: string;
  /** What Node runs in the folder, if not `main.ts run`. */
  readonly script?: readonly string[];
}

/** `millrace run` in a folder with a millrace.yaml: the real program, in a process of its own. */
export class RunProcess implements AsyncDisposable {
  readonly exit: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #broker: string;
  #said = '';

  private constructor(broker: string, child: ChildProcess) {
    this.#child = child;
    this.#broker = broker;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#said = (this.#said + text).slice(-20_000);
      });
    }
    this.exit = new Promise((resolve) => {
      child.once('close', (code, signal) => resolve({ code, signal }));
    });
  }

  static async start(
    { folder, brokerFolder }: { readonly folder: string; readonly brokerFolder: string },
    { failpoint, script = [program, 'run'] }: RunOptions = {},
  ): Promise<RunProcess> {
    const child = spawn(process.execPath, [...script], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        ...(failpoint === undefined ? {} : { MILLRACE_FAILPOINT: failpoint }),
      },
    });
    await once(child, 'spawn');
    return new RunProcess(brokerFolder, child);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The last of what it wrote, on both streams. */
  get said(): string {
    return this.#said;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  send(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async kill(): Promise<Exit> {
    this.send('SIGKILL');
    return this.exit;
  }

  /** Null while it does not answer. */
  async remote(): Promise<Remote | null> {
    return findRunning(this.#broker, 'ledger', never);
  }

  async status(): Promise<Status | null> {
    const status = await (await this.remote())?.status().catch(() => null);
    return status?.pid === this.pid ? status : null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.hasEnded) await this.kill();
  }
}
