import type { z } from 'zod';
import type { ConfigDocument } from './document.ts';
import { type Mistake, nearest } from './mistakes.ts';

/** The part of JSON Schema that our options use. */
export interface OptionTree {
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly type?: string;
  readonly pattern?: string;
  readonly properties?: Readonly<Record<string, OptionTree>>;
  readonly required?: readonly string[];
  readonly items?: OptionTree;
  readonly additionalProperties?: OptionTree | boolean;
  readonly anyOf?: readonly OptionTree[];
  readonly oneOf?: readonly OptionTree[];
}

/** What zod found wrong, in the words of the file: one mistake per unknown key, else one. */
export function describeIssue(
  issue: z.core.$ZodIssue,
  document: ConfigDocument,
  options: OptionTree,
): Mistake[] {
  const { path } = issue;
  if (document.unresolved(path)) return [];
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(options, document.value, path);
    return issue.keys.map((key) =>
      document.mistake([...path, key], {
        message: `unknown option \`${key}\``,
        expected: `one of: ${known.join(', ')}`,
        candidates: { wrong: key, from: known },
        onKey: true,
      }),
    );
  }
  const written = valueAt(document.value, path);
  const name = path.length === 0 ? 'the file' : `\`${pathText(path)}\``;
  if (written === undefined && misspelt(path, document, options)) return [];
  if (written === undefined || written === null) {
    const message = written === null ? `${name} is empty` : `${name} is missing`;
    return [document.mistake(path, { message, expected: issue.message })];
  }
  const from = choices(issue);
  return [
    document.mistake(path, {
      message: `${name} cannot be ${shown(written)}`,
      expected: issue.message,
      ...(typeof written === 'string' && from.length > 0
        ? { candidates: { wrong: written, from } }
        : {}),
    }),
  ];
}

/** Whether an unknown option beside it is the missing one with a slip in it: that is said already. */
function misspelt(path: readonly PropertyKey[], document: ConfigDocument, options: OptionTree) {
  const parent = path.slice(0, -1);
  const known = keysAt(options, document.value, parent);
  const beside = Object.keys(valueAt(document.value, parent) ?? {});
  return beside.some((key) => !known.includes(key) && nearest(key, known) === String(path.at(-1)));
}

function choices(issue: z.core.$ZodIssue): readonly string[] {
  const all: readonly unknown[] =
    issue.code === 'invalid_value'
      ? issue.values
      : issue.code === 'invalid_union' && 'options' in issue && Array.isArray(issue.options)
        ? issue.options
        : [];
  return all.map(String);
}

/** Text may hold a secret, so only what is short and plain is repeated. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return 'a group of options';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return /^[\w.,:+ -]{1,40}$/.test(text) && !text.includes('://') ? `\`${text}\`` : 'this text';
}

export function pathText(path: readonly PropertyKey[]): string {
  let text = '';
  for (const part of path) {
    text += typeof part === 'number' ? `[${part}]` : `${text === '' ? '' : '.'}${String(part)}`;
  }
  return text;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let found = value;
  for (const part of path) {
    if (typeof found !== 'object' || found === null) return undefined;
    found = (found as Readonly<Record<PropertyKey, unknown>>)[part];
  }
  return found;
}

/** Names of the options that may stand at a path, given the kinds chosen in the file. */
function keysAt(options: OptionTree, value: unknown, path: readonly PropertyKey[]): string[] {
  let at = chosen(options, value);
  let written = value;
  for (const part of path) {
    written = valueAt(written, [part]);
    const next =
      typeof part === 'number'
        ? at.items
        : (at.properties?.[String(part)] ??
          (typeof at.additionalProperties === 'object' ? at.additionalProperties : undefined));
    if (next === undefined) return [];
    at = chosen(next, written);
  }
  return Object.keys(at.properties ?? {});
}

/** Of a choice by `kind`, the member that the file chose. */
function chosen(options: OptionTree, value: unknown): OptionTree {
  const members = options.oneOf ?? options.anyOf;
  if (members === undefined) return options;
  const kind = valueAt(value, ['kind']);
  return members.find((member) => member.properties?.['kind']?.const === kind) ?? options;
}
