import { isAbsolute, relative } from 'node:path';

/** Where a command writes, and what it knows of the other side. Given by main.ts, or by a test. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Whether standard output, or standard error, is a terminal that can move its cursor. */
  readonly outIsTTY: boolean;
  readonly errIsTTY: boolean;
  readonly columns: number;
}

/** A path as a person names it: relative where it is below the folder that they are in. */
export function shortPath(path: string, { folder }: Pick<CliContext, 'folder'>): string {
  const short = relative(folder, path);
  return short.startsWith('..') || isAbsolute(short) ? path : `./${short}`;
}

/** All that a command may know of the world around it. */
export interface CliContext {
  readonly terminal: Terminal;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Folder that relative paths start from. */
  readonly folder: string;
  readonly pid: number;
  /** Aborts at the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /** Ends the process as SIGKILL does: for crash tests. */
  readonly kill: () => void;
}
