import type { AvroSchema } from './avro.ts';
import { avroType, type AvroNode } from './avro-type.ts';

/** What a reader cannot do with what was written, and where in the reader's schema. */
export interface Unreadable {
  readonly place: string;
  readonly reason: string;
}

/**
 * Whether data written with one schema can be read with another: null if so.
 *
 * Avro 1.12 specification, "Schema Resolution", as Confluent's `BACKWARD` rule applies it: a field that
 * only the reader has needs a default; fields and types may be renamed through aliases; int widens to
 * long, float, double, and so on; every branch a writer's union may hold must be readable.
 *
 * @throws SCHEMA_INVALID if one of them is not Avro
 */
export function unreadable(reader: AvroSchema, writer: AvroSchema): Unreadable | null {
  return compare(avroType(reader), avroType(writer), { place: '', seen: new Set() });
}

interface Way {
  /** Path of field names. */
  readonly place: string;
  /** Pairs of records that are being compared further up: a recursive schema comes back to them. */
  readonly seen: Set<string>;
}

/** Which writer's primitives a reader's can read besides its own. */
const PROMOTED: Readonly<Record<string, readonly string[]>> = {
  long: ['int'],
  float: ['int', 'long'],
  double: ['int', 'long', 'float'],
  string: ['bytes'],
  bytes: ['string'],
};

function compare(reader: AvroNode, writer: AvroNode, way: Way): Unreadable | null {
  if (writer.kind === 'union') {
    // A reader's union is matched branch by branch of the writer's.
    for (const branch of writer.branches) {
      const problem = compare(reader, branch, way);
      if (problem !== null) return problem;
    }
    return null;
  }
  if (reader.kind === 'union') return compareWithUnion(reader.branches, writer, way);
  const problem = (reason: string): Unreadable => ({ place: way.place || 'the schema', reason });
  if (reader.kind !== writer.kind) {
    return problem(`${named(writer)} was written, which ${named(reader)} cannot read`);
  }
  switch (reader.kind) {
    case 'primitive': {
      const written = writer.kind === 'primitive' ? writer.type : '';
      if (reader.type === written || PROMOTED[reader.type]?.includes(written)) return null;
      return problem(`${named(writer)} was written, which ${named(reader)} cannot read`);
    }
    case 'array':
      return writer.kind === 'array' ? compare(reader.items, writer.items, way) : null;
    case 'map':
      return writer.kind === 'map' ? compare(reader.values, writer.values, way) : null;
    case 'enum':
    case 'fixed':
    case 'record':
      break;
  }
  if (!sameName(reader, writer)) {
    return problem(`${named(writer)} was written, which has another name than ${named(reader)}`);
  }
  if (reader.kind === 'fixed' && writer.kind === 'fixed') {
    return reader.size === writer.size ? null : problem('the size of a fixed type has changed');
  }
  if (reader.kind === 'enum' && writer.kind === 'enum') {
    const lost = writer.symbols.filter((symbol) => !reader.symbols.includes(symbol));
    if (lost.length === 0 || reader.hasDefault) return null;
    return problem(`symbols ${lost.join(', ')} are gone from ${named(reader)}`);
  }
  return reader.kind === 'record' && writer.kind === 'record'
    ? compareFields(reader, writer, way)
    : null;
}

function compareWithUnion(
  branches: readonly AvroNode[],
  writer: AvroNode,
  way: Way,
): Unreadable | null {
  const problems: Unreadable[] = [];
  for (const branch of branches) {
    const problem = compare(branch, writer, { ...way, seen: new Set(way.seen) });
    if (problem === null) return null;
    problems.push(problem);
  }
  // The branch that is meant says more than "no branch fits": one of the same kind and name.
  const meant = branches.findIndex(
    (branch) => branch.kind === writer.kind && branch.kind !== 'primitive',
  );
  return (
    problems[meant] ?? {
      place: way.place || 'the schema',
      reason: `${named(writer)} was written, which no branch of the union can read`,
    }
  );
}

type RecordNode = Extract<AvroNode, { kind: 'record' }>;

function compareFields(reader: RecordNode, writer: RecordNode, way: Way): Unreadable | null {
  const pair = `${reader.name} ${writer.name}`;
  if (way.seen.has(pair)) return null;
  way.seen.add(pair);
  for (const field of reader.fields) {
    const place = way.place === '' ? field.name : `${way.place}.${field.name}`;
    const written =
      writer.fields.find(({ name }) => name === field.name) ??
      writer.fields.find(({ name }) => field.aliases.includes(name));
    if (written !== undefined) {
      const problem = compare(field.type, written.type, { ...way, place });
      if (problem !== null) return problem;
    } else if (!field.hasDefault) {
      return { place, reason: 'a new field has no default' };
    }
  }
  way.seen.delete(pair);
  return null;
}

type NamedNode = Extract<AvroNode, { name: string }>;

function sameName(reader: NamedNode, writer: AvroNode): boolean {
  return 'name' in writer && (reader.name === writer.name || reader.aliases.includes(writer.name));
}

function named(node: AvroNode): string {
  switch (node.kind) {
    case 'primitive':
      return node.type;
    case 'record':
    case 'enum':
    case 'fixed':
      return `${node.kind} ${node.name}`;
    case 'array':
    case 'map':
    case 'union':
      return node.kind;
  }
}
