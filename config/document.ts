import { isMap, isScalar, LineCounter, parseDocument, visit, type Document, type Node } from 'yaml';
import type { Mistake } from './mistakes.ts';
import { nearest } from './mistakes.ts';

type Path = readonly PropertyKey[];

interface Said {
  readonly message: string;
  readonly expected?: string;
  /** For "did you mean": what was written, and what there is. */
  readonly candidates?: { readonly wrong: string; readonly from: readonly string[] };
  /** Marks the key of the pair instead of its value. */
  readonly onKey?: boolean;
}

interface Origin {
  readonly file: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** A YAML file that knows where each of its values stands, with environment variables put in. */
export class ConfigDocument {
  readonly file: string;
  readonly lines: readonly string[];
  /** What was found wrong before any schema was asked. */
  readonly mistakes: Mistake[] = [];
  /** True if it is not YAML at all; then `value` means nothing. */
  readonly broken: boolean;
  /** The plain value; undefined variables are left as they were written. */
  readonly value: unknown;
  readonly #document: Document.Parsed;
  readonly #counter = new LineCounter();
  readonly #unresolved = new Set<unknown>();

  constructor(text: string, origin: Origin) {
    this.file = origin.file;
    this.lines = text.split(/\r?\n/);
    this.#document = parseDocument(text, {
      lineCounter: this.#counter,
      prettyErrors: false,
    });
    for (const error of this.#document.errors) this.#syntax(error);
    this.mistakes.splice(1); // After the first, a parser only guesses.
    this.broken = this.mistakes.length > 0;
    if (!this.broken) this.#interpolate(origin.environment);
    this.value = this.broken ? undefined : (this.#document.toJS({ maxAliasCount: 100 }) ?? {});
  }

  /** A mistake at a path; at the nearest thing above it that is there if nothing is. */
  mistake(path: Path, said: Said): Mistake {
    const [start, end] = said.onKey === true ? this.#keyRange(path) : this.#range(path);
    const { line, col } = this.#counter.linePos(start);
    const suggestion =
      said.candidates === undefined
        ? undefined
        : nearest(said.candidates.wrong, said.candidates.from);
    return {
      line,
      column: col,
      length: end - start,
      message: said.message,
      ...(said.expected === undefined ? {} : { expected: said.expected }),
      ...(suggestion === undefined ? {} : { suggestion }),
    };
  }

  /** Whether the value at a path names a variable that is not set, which has been said already. */
  unresolved(path: Path): boolean {
    return this.#unresolved.has(this.#node(path));
  }

  #node(path: Path): Node | undefined {
    const found = this.#document.getIn(path, true);
    return isNode(found) ? found : undefined;
  }

  #range(path: Path): [number, number] {
    for (let length = path.length; length >= 0; length--) {
      const range = this.#node(path.slice(0, length))?.range;
      // A container is marked by its key: its own text may go over many lines.
      if (length < path.length && length > 0) return this.#keyRange(path.slice(0, length));
      if (range !== undefined && range !== null) return [range[0], range[1]];
    }
    return [0, 1];
  }

  #keyRange(path: Path): [number, number] {
    const parent = path.length === 1 ? this.#document.contents : this.#node(path.slice(0, -1));
    if (isMap(parent)) {
      for (const { key } of parent.items) {
        if (isScalar(key) && String(key.value) === String(path.at(-1)) && key.range) {
          return [key.range[0], key.range[1]];
        }
      }
    }
    const range = this.#node(path)?.range;
    if (range !== undefined && range !== null) return [range[0], range[0] + 1];
    return path.length > 1 ? this.#keyRange(path.slice(0, -1)) : [0, 1];
  }

  #syntax(error: { readonly message: string; readonly pos: readonly [number, number] }): void {
    const { line, col } = this.#counter.linePos(error.pos[0]);
    const inFlow = /[{[].*\$\{/.test(this.lines[line - 1] ?? '');
    this.mistakes.push({
      line,
      column: col,
      length: Math.max(1, error.pos[1] - error.pos[0]),
      message: `this is not YAML: ${error.message}`,
      ...(inFlow ? { expected: 'quotes around "${…}" where it stands inside { } or [ ]' } : {}),
    });
  }

  #interpolate(environment: Origin['environment']): void {
    visit(this.#document, {
      Scalar: (role, node) => {
        if (role === 'key' || typeof node.value !== 'string' || !node.value.includes('${')) return;
        node.value = node.value.replaceAll(
          /(\$?)\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}/g,
          (whole, ...groups: (string | undefined)[]) => {
            const [escaped, name = '', otherwise] = groups;
            // `$${NAME}` is the text `${NAME}`.
            if (escaped !== '') return whole.slice(1);
            const value = environment[name];
            if (value !== undefined && value !== '') return value;
            if (otherwise !== undefined) return otherwise;
            this.#missing(node, name, Object.keys(environment));
            return whole;
          },
        );
      },
    });
  }

  #missing(node: Node, name: string, names: readonly string[]): void {
    this.#unresolved.add(node);
    const [start] = node.range ?? [0];
    const at = this.#document.range === undefined ? start : this.#find(start, name);
    const { line, col } = this.#counter.linePos(at);
    const suggestion = nearest(name, names);
    this.mistakes.push({
      line,
      column: col,
      length: name.length + 3,
      message: `the environment variable ${name} is not set`,
      expected: `it to be set, or a default: \${${name}:default}`,
      ...(suggestion === undefined ? {} : { suggestion }),
    });
  }

  #find(start: number, name: string): number {
    const { line, col } = this.#counter.linePos(start);
    const rest = this.lines.slice(line - 1).join('\n');
    const at = rest.indexOf(`\${${name}`, col - 1);
    return at < 0 ? start : start + at - (col - 1);
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'range' in value;
}
