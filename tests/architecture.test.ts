import { existsSync, readFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';

/** Which top-level folders (or root files) each may import, besides itself and npm packages. */
const allowed: Readonly<Record<string, readonly string[] | 'everything'>> = {
  'errors.ts': [],
  'log.ts': [],
  'version.ts': [],
  'config.ts': ['config', 'errors.ts'],
  config: ['errors.ts'],
  'components.ts': 'everything',
  schemas: ['errors.ts', 'log.ts'],
  broker: ['schemas', 'errors.ts', 'log.ts'],
  connectors: ['broker', 'schemas', 'errors.ts', 'log.ts'],
  processors: ['broker', 'schemas', 'errors.ts', 'log.ts'],
  sinks: ['broker', 'schemas', 'errors.ts', 'log.ts'],
  runtime: [
    'broker',
    'connectors',
    'processors',
    'sinks',
    'schemas',
    'config.ts',
    'errors.ts',
    'log.ts',
  ],
  console: 'everything',
  cli: 'everything',
  'main.ts': 'everything',
  'bin.ts': ['main.ts'],
  bench: 'everything',
  tests: 'everything',
  'vitest.config.ts': [],
};

/** From a port's neighbours only the port's own file may be known: `connectors/connector.ts`, not `connectors/postgres/`. */
const portsOnly: Readonly<Record<string, readonly string[]>> = {
  connectors: ['broker'],
  processors: ['broker'],
  sinks: ['broker'],
  runtime: ['broker', 'connectors', 'processors', 'sinks'],
};

const root = join(import.meta.dirname, '..');
const files = execFileSync(
  'git',
  ['ls-files', '--cached', '--others', '--exclude-standard', '*.ts'],
  {
    cwd: root,
    encoding: 'utf8',
  },
)
  .split('\n')
  .filter((file) => file !== '' && existsSync(join(root, file)));
const text = new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]));
const production = files.filter((file) => !/^(tests|bench)\/|\.test\.ts$/.test(file));

const top = (file: string): string => file.split('/')[0] ?? file;

function importsOf(file: string): string[] {
  const found = (text.get(file) ?? '').matchAll(/(?:from|import\()\s*'(\.[^']+)'/g);
  return [...found].map(([, path]) => normalize(join(dirname(file), path ?? '')));
}

describe('imports', () => {
  test.each(files.filter((file) => !file.endsWith('.test.ts')))(
    '%s imports only what its layer may know',
    (file) => {
      const may = allowed[top(file)];
      expect(may, `${top(file)} has no place in the layering`).toBeDefined();
      if (may === undefined || may === 'everything') return;
      const wrong = importsOf(file).filter(
        (path) => top(path) !== top(file) && !may.includes(top(path)),
      );
      expect(wrong).toEqual([]);
      const beyondPort = importsOf(file).filter(
        (path) =>
          top(path) !== top(file) &&
          (portsOnly[top(file)] ?? []).includes(top(path)) &&
          path.split('/').length > 2,
      );
      expect(beyondPort, 'only the port may be known, not an implementation').toEqual([]);
    },
  );

  test('no files import each other in a circle, not even their types', () => {
    expect(circles(files)).toEqual([]);
  });

  test('only main.ts, the bin before it, benchmarks and tests with their configuration touch process', () => {
    const touching = production.filter(
      (file) =>
        file !== 'main.ts' &&
        file !== 'bin.ts' &&
        file !== 'vitest.config.ts' &&
        /(?<![.\w'`-])process\.(?!nextTick)\w/.test(stripComments(text.get(file) ?? '')),
    );
    expect(touching).toEqual([]);
  });

  test('no file is named for what it is not', () => {
    const named = files.filter((file) =>
      /(^|\/)(utils?|common|helpers?|manager|impl|index|misc)\.ts$/.test(file),
    );
    expect(named).toEqual([]);
  });
});

/** Groups of files of which each can be reached from each other (Tarjan's algorithm). */
function circles(of: readonly string[]): string[][] {
  const found: string[][] = [];
  const places = new Map<string, number>();
  const lowest = new Map<string, number>();
  const path: string[] = [];
  const visit = (file: string): number => {
    const place = places.size;
    places.set(file, place);
    lowest.set(file, place);
    path.push(file);
    for (const next of importsOf(file).filter((each) => text.has(each))) {
      const known = places.get(next);
      const reached =
        known === undefined ? visit(next) : path.includes(next) ? known : Number.POSITIVE_INFINITY;
      lowest.set(file, Math.min(lowest.get(file) ?? place, reached));
    }
    if (lowest.get(file) === place) {
      const group = path.splice(path.indexOf(file));
      if (group.length > 1) found.push(group.toSorted());
    }
    return lowest.get(file) ?? place;
  };
  for (const file of of) if (!places.has(file)) visit(file);
  return found;
}

function stripComments(code: string): string {
  return code.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
}

describe('ARCHITECTURE.md', () => {
  const document = join(root, 'ARCHITECTURE.md');
  const lines = existsSync(document) ? readFileSync(document, 'utf8').split('\n') : [];
  const invariants = lines.filter((line) => /^\| \*\*I\d\*\* /.test(line));

  test('is under 200 lines and lists every invariant', () => {
    expect(lines.length).toBeLessThan(200);
    expect(invariants.map((line) => /I\d/.exec(line)?.[0])).toEqual(
      Array.from({ length: 9 }, (_, index) => `I${index + 1}`),
    );
  });

  test.each(invariants)('%s names files that exist', (line) => {
    const named = [...line.matchAll(/`([\w./-]+\.ts)`/g)].map(([, file]) => file ?? '');
    expect(named.length).toBeGreaterThanOrEqual(2);
    expect(named.some((file) => /test\.ts$|^tests\//.test(file))).toBe(true);
    expect(named.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });
});
