import { topicName, type TopicName } from '../broker/broker.ts';
import { MillraceError } from '../errors.ts';
import type { Deletes, Mode } from './dialect.ts';
import type { Policy, Rules } from './evolution.ts';

/** What a user may say of one table, under its name in the source: `public.orders`. */
export interface TableOptions {
  readonly mode?: Mode;
  readonly delete?: Deletes;
  /** Name in the sink, `table` or `schema.table`. */
  readonly name?: string;
  /** Instead of the sink's, `allow` included. */
  readonly evolution?: Policy;
  readonly allow?: Rules['allow'];
}

export interface TargetOptions {
  /** What the topics' names begin with: `<prefix>.<schema>.<table>.changes`. */
  readonly prefix: string;
  readonly tables?: Readonly<Record<string, TableOptions>>;
  /** For tables that do not say: `merge`. */
  readonly mode?: Mode;
  /** For tables that do not say: `hard`. */
  readonly delete?: Deletes;
  /** For tables that do not say: `evolve`. */
  readonly evolution?: Policy;
  /** Over the policy; a table's own comes over this. */
  readonly allow?: Rules['allow'];
}

/** Where the changes of a topic go. */
export interface Target {
  readonly topic: TopicName;
  readonly schema: string;
  readonly table: string;
  readonly mode: Mode;
  readonly deletes: Deletes;
  readonly rules: Rules;
}

const SUFFIX = /\.(changes|latest)$/;

/**
 * The table of each topic by the user's options. Throws `SINK_TABLE_CONFLICT` if a topic's table is taken
 * by another topic, also where names differ by case only, or if its schema is ours.
 */
export class Targets {
  readonly #options: TargetOptions;
  readonly #byTopic = new Map<TopicName, Target>();
  readonly #topicByTable = new Map<string, TopicName>();
  /** A topic's name has other characters replaced, so names in options are compared like that. */
  readonly #tables: ReadonlyMap<string, TableOptions>;

  constructor(options: TargetOptions) {
    this.#options = options;
    this.#tables = new Map(
      Object.entries(options.tables ?? {}).map(([name, table]) => [topicName(name), table]),
    );
  }

  of(topic: TopicName): Target {
    const known = this.#byTopic.get(topic);
    if (known !== undefined) return known;
    const target = this.#derive(topic);
    const key = targetName(target).toLowerCase();
    const other = this.#topicByTable.get(key);
    if (other !== undefined || target.schema.toLowerCase() === '_millrace') {
      throw new MillraceError('SINK_TABLE_CONFLICT', `the table ${targetName(target)} is taken`, {
        place: `topic ${topic}`,
        expected: `a table that is not that of ${other === undefined ? 'Millrace itself' : `topic ${other}`}`,
        remedy: "Give one of them another `name` under the sink's `tables`.",
      });
    }
    this.#byTopic.set(topic, target);
    this.#topicByTable.set(key, topic);
    return target;
  }

  #derive(topic: TopicName): Target {
    const { prefix, mode = 'merge', delete: deletes = 'hard' } = this.#options;
    const start = `${topicName(prefix)}.`;
    const source = (topic.startsWith(start) ? topic.slice(start.length) : topic).replace(
      SUFFIX,
      '',
    );
    const own = this.#tables.get(source) ?? {};
    const [schema, table] = split(source);
    const [namedSchema, namedTable] =
      own.name === undefined ? [schema, table] : split(own.name, schema);
    return {
      topic,
      schema: namedSchema,
      table: namedTable,
      mode: own.mode ?? mode,
      deletes: own.delete ?? deletes,
      rules: this.#rules(own),
    };
  }

  #rules(own: TableOptions): Rules {
    const { evolution = 'evolve', allow = {} } = this.#options;
    // A table with a policy of its own is not bound by exceptions from another one.
    if (own.evolution !== undefined) return { policy: own.evolution, allow: own.allow ?? {} };
    const said = Object.entries(own.allow ?? {}).filter(([, value]) => value !== undefined);
    return { policy: evolution, allow: { ...allow, ...Object.fromEntries(said) } };
  }
}

export function targetName(target: Pick<Target, 'schema' | 'table'>): string {
  return `${target.schema}.${target.table}`;
}

/** Schema and table; what has no dot is a table of the given schema. */
function split(name: string, schema = 'main'): [schema: string, table: string] {
  const dot = name.indexOf('.');
  return dot < 0 ? [schema, name] : [name.slice(0, dot), name.slice(dot + 1)];
}
