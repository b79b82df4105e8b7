import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where a running pipeline is reached, and the word that opens `/query`. */
export interface RunFile {
  readonly pid: number;
  readonly url: string;
  readonly token: string;
}

const path = (folder: string): string => join(folder, 'run.json');

/** Written into the broker's folder while the pipeline runs; only its owner may read it. */
export async function writeRunFile(folder: string, content: RunFile): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(path(folder), JSON.stringify(content), { mode: 0o600 });
}

/** Null if there is none, or if it is not whole. It may be left from a process that was killed. */
export async function readRunFile(folder: string): Promise<RunFile | null> {
  try {
    const parsed: unknown = JSON.parse(await readFile(path(folder), 'utf8'));
    return isRunFile(parsed) ? parsed : null;
  } catch {
    return null;
  }
}

/** Removes it, unless another process has written its own since. */
export async function removeRunFile(folder: string, pid: number): Promise<void> {
  if ((await readRunFile(folder))?.pid === pid) await rm(path(folder), { force: true });
}

function isRunFile(value: unknown): value is RunFile {
  if (typeof value !== 'object' || value === null) return false;
  const { pid, url, token } = value as Partial<Record<keyof RunFile, unknown>>;
  return typeof pid === 'number' && typeof url === 'string' && typeof token === 'string';
}
