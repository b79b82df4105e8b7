import type { BrokerState } from '../broker/broker.ts';
import type { Config } from '../config.ts';
import { rebuildTable, resumeTable, SinkTables } from './sink-tables.ts';
import { type ParkedStatus, parkedStatus } from './status.ts';
import { sinkGroup, sinksNamed, tableNamed, type Topology } from './topology.ts';

/** The tables of all sinks of a pipeline that runs. */
export class PipelineTables {
  readonly bySink: ReadonlyMap<string, SinkTables>;
  readonly #config: Config;
  readonly #topology: Topology;

  constructor(config: Config, topology: Topology) {
    this.#config = config;
    this.#topology = topology;
    this.bySink = new Map(config.sinks.map(({ name }) => [name, new SinkTables()]));
  }

  parked(state: BrokerState): ParkedStatus[] {
    return [...this.bySink].flatMap(([sink, { parked }]) =>
      parkedStatus(sink, parked ?? [], { topology: this.#topology, state }),
    );
  }

  /** What waits for somebody although changes flow: parked tables. */
  degraded(): string[] {
    return [...this.bySink].flatMap(([sink, { parked }]) =>
      (parked ?? []).map(
        ({ table, code, message }) => `${sink} has parked ${table}: ${code}: ${message}`,
      ),
    );
  }

  /** Lets a parked table try again. Throws `NOT_RUNNING`, `USAGE`. */
  async resume(table: string, sink?: string): Promise<void> {
    const { changes } = tableNamed(this.#topology, table);
    for (const one of this.#named(sink)) await one.tables.ask(resumeTable(changes));
  }

  /** Makes a table again from the beginning of its topic. Throws `NOT_RUNNING`, `USAGE`, `SINK_GAP`. */
  async rebuild(table: string, sink?: string): Promise<void> {
    const { changes } = tableNamed(this.#topology, table);
    for (const { group, tables } of this.#named(sink)) {
      await tables.ask(rebuildTable(changes, group));
    }
  }

  #named(name: string | undefined): readonly { group: string; tables: SinkTables }[] {
    return sinksNamed(this.#config, name).map((sink) => {
      const tables = this.bySink.get(sink.name);
      if (tables === undefined) throw new TypeError(`no tables of sink ${sink.name}`);
      return { group: sinkGroup(this.#topology.pipeline, sink), tables };
    });
  }
}
