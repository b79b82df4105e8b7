import type { HopContext } from './hop.ts';
import { findHop } from './hops.ts';

// The process that a hop runs in, so that memory and processor time are the pipeline's alone. A run
// that fails ends it, with the error on the terminal.
const hop = await findHop(process.argv[2] ?? '');

process.on('message', (context: HopContext) => {
  void hop.run(context).then((run) => process.send?.(run));
});
