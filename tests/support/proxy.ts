import { connect, createServer, type Socket } from 'node:net';

/** A TCP proxy whose connections a test can cut, hold up or slow down. */
export interface Proxy extends AsyncDisposable {
  readonly port: number;
  /** How many connections were made through it. */
  readonly accepted: number;
  /** Ends all connections at once, as a failing network does. */
  cut(): void;
  /** Nothing passes any more, in either direction, until `flow`; connections stay open. */
  stall(): void;
  /** What comes from upstream passes at about that rate at most, until `flow`. */
  slow(bytesPerSecond: number): void;
  flow(): void;
}

export async function startProxy(to: { readonly port: number }): Promise<Proxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let stalled = false;
  let bytesPerSecond = Infinity;
  let accepted = 0;
  const server = createServer((client) => {
    accepted++;
    const upstream = connect(to.port, '127.0.0.1');
    const pair = [client, upstream] as const;
    pairs.add(pair);
    for (const [from, into] of [pair, [upstream, client] as const]) {
      from.on('data', (chunk) => {
        if (!into.write(chunk)) from.pause();
        if (from !== upstream || bytesPerSecond === Infinity) return;
        from.pause();
        setTimeout(() => stalled || from.resume(), (1000 * chunk.length) / bytesPerSecond);
      });
      into.on('drain', () => stalled || from.resume());
      from.on('error', () => into.destroy());
      from.on('close', () => {
        into.destroy();
        pairs.delete(pair);
      });
      if (stalled) from.pause();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const each = (act: (socket: Socket) => void): void => pairs.forEach((pair) => pair.forEach(act));
  const proxy: Proxy = {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    get accepted() {
      return accepted;
    },
    cut: () => each((socket) => void socket.resetAndDestroy()),
    stall: () => {
      stalled = true;
      each((socket) => void socket.pause());
    },
    slow: (rate) => {
      bytesPerSecond = rate;
    },
    flow: () => {
      stalled = false;
      bytesPerSecond = Infinity;
      each((socket) => void socket.resume());
    },
    [Symbol.asyncDispose]: async () => {
      proxy.cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}
