import { openKafka } from '../../broker/kafka/kafka.ts';
import { silent } from '../../log.ts';
import { writeForever } from './broker-writer.ts';

/** Run as a process of its own, with the cluster's address and the name as arguments, to be killed. */
const [address, name] = process.argv.slice(2);
if (address === undefined || name === undefined)
  throw new Error('usage: kafka-writer <address> <name>');
// What a killed one leaves open is soon undone.
const times = { sessionTimeoutMs: 2000, transactionTimeoutMs: 3000 };
const broker = await openKafka({ brokers: [address], ...times }, silent);
await writeForever(broker, name);
