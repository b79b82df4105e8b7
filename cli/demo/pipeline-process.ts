import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { execPath } from 'node:process';
import { findRunning, type Remote } from '../../console/client.ts';
import { MillraceError } from '../../errors.ts';
import type { Status } from '../../runtime/status.ts';
import { brokerFolder, PIPELINE, SINK } from './demo-folder.ts';
import { guard } from './guard.ts';

/** The program itself: `main.ts` in a clone, `main.js` in an installed package. */
const program = join(import.meta.dirname, `../../main${extname(import.meta.filename)}`);

/** What starts Millrace on this machine, for a shell. */
export const shellCommand = `'${execPath}' '${program}'`;

/** `millrace run` in a process of its own, which can be killed. */
export class PipelineProcess implements AsyncDisposable {
  readonly #folder: string;
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;
  readonly #watch: Disposable;

  private constructor(folder: string, child: ChildProcess) {
    this.#folder = folder;
    this.#child = child;
    this.#exit = once(child, 'exit');
    this.#watch = guard(child.pid ?? 0, 'KILL');
  }

  /** Runs the `millrace.yaml` of a folder; what it says goes to `pipeline.log` there. */
  static async start(folder: string): Promise<PipelineProcess> {
    const log = openSync(join(folder, 'pipeline.log'), 'a');
    const child = spawn(execPath, [program, 'run'], {
      cwd: folder,
      stdio: ['ignore', log, log],
      // A group of its own: Ctrl-C is for us, who then stop it in order.
      detached: true,
    });
    closeSync(log);
    await once(child, 'spawn');
    return new PipelineProcess(folder, child);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** What it says of itself; null while it does not answer. Throws `PIPELINE_ENDED`. */
  async status(signal: AbortSignal): Promise<Status | null> {
    const status = (await (await this.#remote(signal))?.status().catch(() => null)) ?? null;
    return status?.pid === this.pid ? status : null;
  }

  /** Whether a query finds a row in the sink; false also while it cannot be asked. */
  async has(sql: string, signal: AbortSignal): Promise<boolean> {
    const remote = await this.#remote(signal);
    const found = await remote?.query(sql, { sink: SINK, rowsMax: 1 }).catch(() => null);
    return (found?.rows.length ?? 0) > 0;
  }

  /** SIGKILL: it has no chance to finish anything. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exit;
    this.#watch[Symbol.dispose]();
  }

  /** SIGTERM: it finishes the batches in hand. Throws `PIPELINE_ENDED` if it does not end well. */
  async stop(): Promise<void> {
    this.#assertRunning();
    this.#child.kill('SIGTERM');
    await this.#exit;
    this.#watch[Symbol.dispose]();
    if (this.#child.exitCode !== 0) throw this.#failure();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded()) await this.kill();
  }

  async #remote(signal: AbortSignal): Promise<Remote | null> {
    this.#assertRunning();
    return await findRunning(brokerFolder(this.#folder), PIPELINE, signal);
  }

  #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  #assertRunning(): void {
    if (this.#hasEnded()) throw this.#failure();
  }

  #failure(): MillraceError {
    const { exitCode, signalCode } = this.#child;
    const log = join(this.#folder, 'pipeline.log');
    const last = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-5).join('\n');
    return new MillraceError(
      'PIPELINE_ENDED',
      `the pipeline ended with ${signalCode ?? `exit code ${exitCode}`}; its last words:\n${last}`,
      { place: log },
    );
  }
}
