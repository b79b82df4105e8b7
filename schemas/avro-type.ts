import { MillraceError } from '../errors.ts';
import type { AvroSchema } from './avro.ts';

/** An Avro schema with its names resolved; a recursive one is a graph. */
export type AvroNode =
  | { readonly kind: 'primitive'; readonly type: string }
  | { readonly kind: 'union'; readonly branches: readonly AvroNode[] }
  | { readonly kind: 'array'; readonly items: AvroNode }
  | { readonly kind: 'map'; readonly values: AvroNode }
  | (Named & { readonly kind: 'fixed'; readonly size: number })
  | (Named & {
      readonly kind: 'enum';
      readonly symbols: readonly string[];
      readonly hasDefault: boolean;
    })
  | (Named & { readonly kind: 'record'; readonly fields: readonly FieldNode[] });

interface Named {
  /** With the namespace. */
  readonly name: string;
  readonly aliases: readonly string[];
}

export interface FieldNode {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly hasDefault: boolean;
  readonly type: AvroNode;
}

const PRIMITIVES = new Set([
  'null',
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'bytes',
  'string',
]);

/**
 * Resolves the names in a schema, also in parts of Avro that we do not write ourselves (enum, fixed,
 * aliases). Avro 1.12 specification, "Names".
 *
 * @throws SCHEMA_INVALID
 */
export function avroType(schema: AvroSchema): AvroNode {
  return resolve(schema, { namespace: '', names: new Map() });
}

interface Scope {
  readonly namespace: string;
  readonly names: Map<string, AvroNode>;
}

function resolve(schema: unknown, scope: Scope): AvroNode {
  if (typeof schema === 'string') {
    if (PRIMITIVES.has(schema)) return { kind: 'primitive', type: schema };
    const found = scope.names.get(fullName(schema, scope.namespace)) ?? scope.names.get(schema);
    return found ?? invalid(`the type ${schema} is not defined before its use`);
  }
  if (Array.isArray(schema)) {
    return { kind: 'union', branches: schema.map((branch) => resolve(branch, scope)) };
  }
  if (!isObject(schema)) return invalid('a type must be a name, a union or an object');
  switch (schema['type']) {
    case 'array':
      return { kind: 'array', items: resolve(schema['items'], scope) };
    case 'map':
      return { kind: 'map', values: resolve(schema['values'], scope) };
    case 'record':
    case 'error':
    case 'enum':
    case 'fixed':
      return define(schema, scope);
    default:
      return resolve(schema['type'], scope);
  }
}

function define(schema: Readonly<Record<string, unknown>>, scope: Scope): AvroNode {
  const own = schema['namespace'];
  const namespace = typeof own === 'string' ? own : scope.namespace;
  const name = fullName(text(schema, 'name'), namespace);
  const inside = { namespace: name.split('.').slice(0, -1).join('.'), names: scope.names };
  const aliases = texts(schema, 'aliases').map((alias) => fullName(alias, inside.namespace));
  if (scope.names.has(name)) return invalid(`the type ${name} is defined twice`);
  const add = <T extends AvroNode>(node: T): T => {
    scope.names.set(name, node);
    return node;
  };
  if (schema['type'] === 'fixed') {
    const size = schema['size'];
    if (typeof size !== 'number') return invalid(`the fixed type ${name} has no size`);
    return add({ kind: 'fixed', name, aliases, size });
  }
  if (schema['type'] === 'enum') {
    const hasDefault = schema['default'] !== undefined;
    return add({ kind: 'enum', name, aliases, symbols: texts(schema, 'symbols'), hasDefault });
  }
  // The name comes before the fields, since a record may contain itself.
  const fields: FieldNode[] = [];
  const node = add({ kind: 'record', name, aliases, fields });
  const listed = schema['fields'];
  if (!Array.isArray(listed)) return invalid(`the record ${name} has no fields`);
  for (const field of listed as unknown[]) fields.push(fieldOf(field, inside));
  return node;
}

function fieldOf(field: unknown, scope: Scope): FieldNode {
  if (!isObject(field)) return invalid('a field must be an object');
  return {
    name: text(field, 'name'),
    aliases: texts(field, 'aliases'),
    hasDefault: 'default' in field,
    type: resolve(field['type'], scope),
  };
}

const fullName = (name: string, namespace: string): string =>
  name.includes('.') || namespace === '' ? name : `${namespace}.${name}`;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function text(schema: Readonly<Record<string, unknown>>, member: string): string {
  const value = schema[member];
  return typeof value === 'string' ? value : invalid(`a type or field has no ${member}`);
}

function texts(schema: Readonly<Record<string, unknown>>, member: string): readonly string[] {
  const value = schema[member];
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

function invalid(reason: string): never {
  throw new MillraceError('SCHEMA_INVALID', `The schema is not valid Avro: ${reason}.`);
}
