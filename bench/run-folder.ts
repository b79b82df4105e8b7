import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { HopContext } from './hop.ts';

/** Where `prepare` leaves files that every run begins with. */
export const prepared = (folder: string): string => join(folder, 'prepared');

/** Works in a folder of this run, a copy of the prepared one if there is one, and removes it. */
export async function inRunFolder<T>(
  context: HopContext,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = join(context.folder, `run-${context.run}`);
  const from = prepared(context.folder);
  if (existsSync(from)) cpSync(from, folder, { recursive: true });
  else mkdirSync(folder);
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
