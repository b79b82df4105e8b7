import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A child that ends with this process, however that ends: it hangs on a pipe that closes with us. */
export interface Supervised {
  alive(): boolean;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** Waits until its log says so. Throws with the end of the log if it dies or takes too long. */
  untilLogged(text: string, timeoutMs: number): Promise<void>;
}

const SHELL =
  'exec 3<&0; "$@" </dev/null 3<&- & p=$!; (read -r -u 3 _; kill -9 $p 2>/dev/null) & w=$!; ' +
  'wait $p; s=$?; kill $w 2>/dev/null; exit $s';

export async function supervised(
  command: string,
  args: readonly string[],
  log: string,
): Promise<Supervised> {
  const file = await open(log, 'a');
  const child = spawn('bash', ['-c', SHELL, 'supervised', command, ...args], {
    stdio: ['pipe', file.fd, file.fd],
    detached: true,
  });
  await file.close();
  child.stdin?.on('error', () => undefined);
  const exited = once(child, 'exit');
  const alive = (): boolean => child.exitCode === null && child.signalCode === null;
  const kill = async (): Promise<void> => {
    child.stdin?.end();
    if (alive()) await exited;
  };
  return {
    alive,
    kill,
    async untilLogged(text, timeoutMs) {
      const deadline = Date.now() + timeoutMs;
      for (;;) {
        const said = await readFile(log, 'utf8').catch(() => '');
        if (said.includes(text)) return;
        if (!alive() || Date.now() > deadline) {
          await kill();
          throw new Error(`${command} did not say "${text}":\n${said.slice(-4000)}`);
        }
        await sleep(50);
      }
    },
  };
}

/** Free ports of this machine, all held open together so that they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(
    servers.map((server) => new Promise((resolve) => server.close(() => resolve(undefined)))),
  );
  return ports;
}
