import type { ErrorCode } from '../errors.ts';

export type StageKind = 'source' | 'processor' | 'sink';

/** `retrying` waits before it opens again; `failed` has ended and takes the pipeline with it. */
export type StageState = 'starting' | 'running' | 'retrying' | 'stopped' | 'failed';

export interface StageError {
  readonly code: ErrorCode | 'UNEXPECTED';
  readonly message: string;
  readonly at: number;
}
