import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { optionsOf } from '../config/options.ts';
import { optionTree } from '../config.ts';
import { differences, modeDifferences, REFUSED } from './golden/postgres-differences.ts';
import { metricNames } from '../runtime/metrics.ts';

const docs = (name: string): string =>
  readFileSync(join(import.meta.dirname, '..', 'docs', name), 'utf8');

/** The lines between `<!-- name -->` and `<!-- /name -->`. */
function section(text: string, name: string): string[] {
  const [, inside = ''] =
    new RegExp(`<!-- ${name} -->\n([\\s\\S]*?)<!-- /${name} -->`).exec(text) ?? [];
  return inside.split('\n').filter((line) => line !== '');
}

describe('docs/configuration.md', () => {
  const expected = optionsOf(optionTree()).map(({ path, description, required, ...option }) => {
    const shown =
      option.default === undefined
        ? required
          ? 'required'
          : ''
        : `\`${JSON.stringify(option.default).replaceAll('"', '')}\``;
    const name = path.endsWith('.kind') ? `${path}: ${option.kind}` : path;
    return `| \`${name}\` | ${shown} | ${description} |`;
  });

  test('lists every option of the schema with its default and description, and no other', () => {
    expect(section(docs('configuration.md'), 'options')).toEqual(expected);
  });
});

describe('docs/operations.md', () => {
  test('lists every metric with its meaning, and no other', () => {
    const expected = Object.entries(metricNames).map(([name, help]) => `| \`${name}\` | ${help} |`);
    expect(section(docs('operations.md'), 'metrics')).toEqual(expected);
  });
});

describe('docs/sources/postgres-values.md', () => {
  test('lists every difference from Debezium that is tested, and no other', () => {
    const expected = Object.entries(differences).flatMap(([column, of]) =>
      Object.entries(of).map(([kind, reason]) => `| \`${column}\` | ${kind} | ${reason} |`),
    );
    expect(section(docs('sources/postgres-values.md'), 'differences')).toEqual(expected);
  });

  test('lists those of other values of timePrecision, and the tables that are refused', () => {
    const values = docs('sources/postgres-values.md');
    expect(section(values, 'mode-differences')).toEqual(
      Object.entries(modeDifferences).flatMap(([mode, columns]) =>
        Object.entries(columns).map(
          ([column, reason]) => `| ${mode} | \`${column}\` | ${reason} |`,
        ),
      ),
    );
    expect(section(values, 'refused')).toEqual(
      Object.entries(REFUSED).map(([table, reason]) => `| \`${table}\` | ${reason} |`),
    );
  });
});
