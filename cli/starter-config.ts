import { type Option, optionsOf } from '../config/options.ts';
import { optionTree } from '../config.ts';
import type { FoundDatabase, FoundTable } from './database-tables.ts';
import { bytes, count } from './figures.ts';
import { identityStatement } from './identity-statement.ts';

/**
 * A first configuration for a database: what must be said is said, everything else is there as a
 * comment with its default. `url` is what to write for it; null leaves it to the PG* variables.
 */
export function starterConfig(found: FoundDatabase, url: string | null): string {
  const pipeline = pipelineName(found.database);
  const options = new Map(
    // The first of a name: of kinds that have it, the one that is chosen here.
    optionsOf(optionTree())
      .toReversed()
      .map((option) => [option.path, option]),
  );
  const described = (path: string): Option => {
    const option = options.get(path);
    if (option === undefined) throw new TypeError(`there is no option ${path}`);
    return option;
  };
  /** An option that is left out, with its default. */
  const left = (path: string, indent = ''): string => {
    const option = described(path);
    return `${indent}# ${option.description}\n${indent}# ${setting(option)}`;
  };
  /** The same inside a group that is left out. */
  const leftInside = (path: string): string => {
    const option = described(path);
    return `#   # ${option.description}\n#   ${setting(option)}`;
  };
  return `# A Millrace pipeline. Check it with \`millrace validate\`, look ahead with \`millrace plan\`,
# start it with \`millrace run\`. \${NAME} and \${NAME:default} come from the environment.

# ${described('pipeline').description}
pipeline: ${pipeline}

source:
  kind: postgres
${url === null ? '  # The server is the one that the PG* variables name.' : `  url: ${scalar(url)}`}
  # ${described('source.tables').description}
  tables:
${found.tables.map(tableLine).join('\n')}
${left('source.slot', '  ')}
${left('source.publication', '  ')}
${left('source.tombstones', '  ')}

sinks:
  - kind: duckdb
    # ${described('sinks[].path').description}
    path: ./${pipeline}.duckdb
${left('sinks[].mode', '    ')}
${left('sinks[].delete', '    ')}
    # ${described('sinks[].tables').description}
    # tables:
    #   ${scalar(found.tables.find(({ identified }) => identified)?.name ?? 'public.orders')}: { mode: append }

# Topics on Kafka or Redpanda: \`{ kind: kafka, brokers: [localhost:9092] }\`.
# broker:
#   kind: embedded
${leftInside('broker.path')}

${left('partitions')}
${left('drainTimeout')}

# http:
#   # ${described('http.port').description}
#   port: 8090
`;
}

/** A table that would be refused is left out, with what makes it possible. */
function tableLine(table: FoundTable): string {
  const { name, rowsEstimated, bytes: size, key, identified } = table;
  const rows = rowsEstimated === null ? 'rows unknown' : `~${count(rowsEstimated)} rows`;
  const keys = key.length === 0 ? 'no key' : `key ${key.join(', ')}`;
  const line = `- ${scalar(name)} # ${rows}, ${bytes(size)}, ${keys}`.replaceAll(/[\r\n]/g, ' ');
  return identified ? `    ${line}` : `    # ${line}; first: ${identityStatement(name)}`;
}

function setting(option: Option): string {
  const name = option.path.slice(option.path.lastIndexOf('.') + 1);
  return option.default === undefined
    ? `${name}:`
    : `${name}: ${JSON.stringify(option.default).replaceAll('"', '')}`;
}

/** Plain where YAML reads it as the same text; quoted as JSON, which YAML understands, elsewhere. */
function scalar(text: string): string {
  return /^(\$\{\w+\}|[A-Za-z_./][\w./-]*|\w+:\/\/[\w.:/@?=&%-]+)$/.test(text)
    ? text
    : JSON.stringify(text);
}

/** The database's name in the letters that topics and groups allow. */
function pipelineName(database: string): string {
  const name = database
    .toLowerCase()
    .replaceAll(/[^a-z0-9_]+/g, '_')
    .replace(/^[^a-z]+/, '')
    .slice(0, 40);
  return name === '' ? 'pipeline' : name;
}
