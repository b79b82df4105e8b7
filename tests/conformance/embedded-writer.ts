import { openEmbedded } from '../../broker/embedded/embedded.ts';
import { silent } from '../../log.ts';
import { writeForever } from './broker-writer.ts';

/** Run as a process of its own, with the broker's folder and the name as arguments, to be killed. */
const [path, name] = process.argv.slice(2);
if (path === undefined || name === undefined)
  throw new Error('usage: embedded-writer <path> <name>');
const { broker } = await openEmbedded({ path }, silent);
await writeForever(broker, name);
