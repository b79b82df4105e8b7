import { spawn } from 'node:child_process';
import { platform } from 'node:os';

/**
 * Makes a process end with ours, also when ours is killed: a shell waits on a pipe whose other end
 * only we hold, and sends `signal` when the pipe closes. Dispose of it once the process has ended by
 * itself, so that its number, used again, hits nobody else.
 */
export function guard(pid: number, signal: 'INT' | 'KILL'): Disposable {
  if (platform() === 'win32') return { [Symbol.dispose]: () => undefined };
  const shell = spawn('sh', ['-c', `read -r _; kill -${signal} ${pid}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  shell.unref();
  return {
    [Symbol.dispose]: () => {
      shell.kill('SIGKILL');
    },
  };
}
