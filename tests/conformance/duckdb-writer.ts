import { silent } from '../../log.ts';
import { duckdbSink } from '../../sinks/duckdb/sink.ts';
import { memoryRegistry } from '../support/changes.ts';
import { writeForever } from './sink-writer.ts';

/** Run as a process of its own, with the file as argument, to be killed. */
const [path] = process.argv.slice(2);
if (path === undefined) throw new Error('usage: duckdb-writer <path>');
const registry = memoryRegistry();
const options = { path, pipeline: 'conformance', prefix: 'shop', threads: 1 };
await writeForever(duckdbSink(options, { registry, log: silent }), registry);
