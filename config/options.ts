import type { OptionTree } from './issues.ts';

/** One option as documentation lists it. */
export interface Option {
  /** `sinks[].tables.*.mode`. */
  readonly path: string;
  readonly description: string;
  readonly required: boolean;
  /** As it is written in the file; undefined if there is none. */
  readonly default?: unknown;
  /** The kind of component that has it; undefined if all have it. */
  readonly kind?: string;
}

/** All options that hold a value, in the order of the schema. */
export function optionsOf(tree: OptionTree): Option[] {
  return fields(tree, '', undefined);
}

function fields(tree: OptionTree, prefix: string, kind: string | undefined): Option[] {
  const found: Option[] = [];
  for (const member of tree.oneOf ?? []) {
    found.push(...fields(member, prefix, String(member.properties?.['kind']?.const)));
  }
  for (const [name, field] of Object.entries(tree.properties ?? {})) {
    const path = `${prefix}${name}`;
    const required = tree.required?.includes(name) === true;
    found.push(...leafOrGroup(field, { path, required, kind }));
  }
  return found;
}

function leafOrGroup(
  field: OptionTree,
  at: { readonly path: string; readonly required: boolean; readonly kind: string | undefined },
): Option[] {
  const { path, required, kind } = at;
  if (field.oneOf !== undefined || field.properties !== undefined) {
    return fields(field, `${path}.`, kind);
  }
  if (field.items?.oneOf !== undefined) return fields(field.items, `${path}[].`, kind);
  const own: Option = {
    path,
    description: field.description ?? '',
    required,
    ...(field.default === undefined ? {} : { default: field.default }),
    ...(kind === undefined ? {} : { kind }),
  };
  const values = field.additionalProperties;
  return typeof values === 'object' ? [own, ...fields(values, `${path}.*.`, kind)] : [own];
}
