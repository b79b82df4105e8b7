import type { BrokerState } from '../broker/broker.ts';
import type { Config } from '../config.ts';
import type { RebuildFrom } from '../sinks/sink.ts';
import { type RebuildOrder, type RebuildProgress, rebuildTable } from './rebuild.ts';
import { resumeTable, SinkTables } from './sink-tables.ts';
import { type ParkedStatus, parkedStatus } from './status.ts';
import { sinkGroup, sinksNamed, tableNamed, type Topology } from './topology.ts';

/** The tables of all sinks of a pipeline that runs. */
export class PipelineTables {
  readonly bySink: ReadonlyMap<string, SinkTables>;
  readonly #config: Config;
  readonly #topology: Topology;
  readonly #rebuilds = new Map<string, RebuildProgress>();

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

  /** Tables that are being made anew. */
  get rebuilds(): readonly RebuildProgress[] {
    return [...this.#rebuilds.values()];
  }

  /**
   * Makes a table again beside the one that is there, which goes on until it is replaced. Resolves then;
   * an abort gives it up. Throws `NOT_RUNNING`, `USAGE`, and what {@link rebuildTable} throws.
   */
  async rebuild(
    table: string,
    { from, sink, signal }: { from: RebuildFrom; sink?: string | undefined; signal: AbortSignal },
  ): Promise<void> {
    const topics = tableNamed(this.#topology, table);
    for (const { name, group, tables } of this.#named(sink)) {
      const key = `${name}/${table}`;
      const told: RebuildOrder['told'] = (progress) =>
        this.#rebuilds.set(key, { sink: name, table, from, ...progress });
      const { sink: open, broker, ended } = tables.open;
      const both = AbortSignal.any([signal, ended]);
      try {
        const order = { topics, from, told, signal: both };
        await using rebuilt = await rebuildTable(open, broker, order);
        both.throwIfAborted();
        await tables.ask((_, broker) => rebuilt.replace(broker, group));
      } finally {
        this.#rebuilds.delete(key);
      }
    }
  }

  #named(
    name: string | undefined,
  ): readonly { readonly name: string; readonly group: string; readonly tables: SinkTables }[] {
    return sinksNamed(this.#config, name).map((sink) => {
      const tables = this.bySink.get(sink.name);
      if (tables === undefined) throw new TypeError(`no tables of sink ${sink.name}`);
      return { name: sink.name, group: sinkGroup(this.#topology.pipeline, sink), tables };
    });
  }
}
