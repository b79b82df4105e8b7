import { randomUUID } from 'node:crypto';
import { describe, expect, test as anyTest } from 'vitest';
import type { AvroField, AvroNamed, AvroSchema } from '../../schemas/avro.ts';
import { envelopeSchema, keySchema, sourceSchema } from '../../schemas/envelope.ts';
import type { SchemaRegistry } from '../../schemas/registry.ts';

export interface RegistryUnderTest extends AsyncDisposable {
  /** The present connection; {@link reopen} replaces it. */
  readonly registry: SchemaRegistry;
  reopen(): Promise<void>;
  /** Lets everything be registered under a subject. */
  allowEverything(subject: string): Promise<void>;
}

export interface RegistryFactory {
  readonly open: () => Promise<RegistryUnderTest>;
}

/** What the port `SchemaRegistry` promises. Every implementation runs it. */
export function registryConformance(name: string, factory: RegistryFactory): void {
  const test = (title: string, run: (under: RegistryUnderTest) => Promise<void>): void =>
    // The names are at the callers, and so are the assertions.
    // oxlint-disable-next-line vitest/valid-title, vitest/expect-expect
    anyTest(title, async () => {
      await using under = await factory.open();
      await run(under);
    });

  describe(`${name} as a schema registry`, () => {
    test('a schema comes back by its id as it was, with all attributes', async ({ registry }) => {
      for (const schema of [envelope('shop'), key('shop'), 'string', ['null', 'long']] as const) {
        const id = await registry.register(subject(), schema);
        expect(id).toBeGreaterThan(0);
        expect(await registry.byId(id)).toEqual(schema);
      }
    });

    test('equal schemas get one id, under any subject and however often', async ({ registry }) => {
      const [one, other] = [subject(), subject()];
      const id = await registry.register(one, recordOf([{ name: 'a', type: 'int' }]));
      const reordered = { fields: [{ type: 'int', name: 'a' }], name: 'Value', type: 'record' };
      expect(await registry.register(one, recordOf([{ name: 'a', type: 'int' }]))).toBe(id);
      expect(await registry.register(other, reordered as AvroSchema)).toBe(id);
    });

    test('schemas that differ in a semantic type get two ids', async ({ registry }) => {
      const plain = await registry.register(subject(), recordOf([{ name: 'a', type: 'int' }]));
      const date: AvroSchema = { type: 'int', 'connect.name': 'io.debezium.time.Date' };
      const dated = await registry.register(subject(), recordOf([{ name: 'a', type: date }]));
      expect(dated).not.toBe(plain);
    });

    test('ids and subjects survive a restart, and new ids are new', async (under) => {
      const name = subject();
      const first = await under.registry.register(name, 'string');
      const second = await under.registry.register(name, 'bytes');
      await under.reopen();
      expect(await under.registry.byId(first)).toBe('string');
      expect(await under.registry.register(name, 'bytes')).toBe(second);
      const third = await under.registry.register(
        subject(),
        recordOf([{ name: randomName(), type: 'int' }]),
      );
      expect([first, second]).not.toContain(third);
    });

    test('an unknown id is an error with a code', async ({ registry }) => {
      await expect(registry.byId(2 ** 30)).rejects.toMatchObject({ code: 'SCHEMA_UNKNOWN' });
    });

    test('a column may be added with a default, dropped, and widened', async ({ registry }) => {
      const name = subject();
      const a: AvroField = { name: 'a', type: 'int' };
      const b: AvroField = { name: 'b', type: ['null', 'string'], default: null };
      await registry.register(name, recordOf([a]));
      await registry.register(name, recordOf([a, b]));
      await registry.register(name, recordOf([{ name: 'a', type: 'long' }, b]));
      await registry.register(name, recordOf([b]));
    });

    test('what readers of the last schema could not read is refused, and nothing changes', async ({
      registry,
    }) => {
      const name = subject();
      await registry.register(name, recordOf([{ name: 'a', type: 'long' }]));
      const narrower = recordOf([{ name: 'a', type: 'int' }]);
      const code = { code: 'SCHEMA_INCOMPATIBLE' };
      await expect(registry.register(name, narrower)).rejects.toMatchObject(code);
      await expect(registry.register(name, narrower)).rejects.toMatchObject(code);
      const required = recordOf([
        { name: 'a', type: 'long' },
        { name: 'b', type: 'string' },
      ]);
      await expect(registry.register(name, required)).rejects.toMatchObject(code);
      await registry.register(name, recordOf([{ name: 'a', type: 'double' }]));
    });

    test('the rule counts for each subject by itself, and may be lifted', async (under) => {
      const name = subject();
      await under.registry.register(name, 'long');
      await under.registry.register(subject(), 'int');
      await under.allowEverything(name);
      const id = await under.registry.register(name, 'boolean');
      expect(await under.registry.byId(id)).toBe('boolean');
    });

    test('registering at the same time gives one id', async ({ registry }) => {
      const name = subject();
      const schema = envelope(randomName());
      const ids = await Promise.all(
        Array.from({ length: 10 }, () => registry.register(name, schema)),
      );
      expect(new Set(ids).size).toBe(1);
    });
  });
}

const randomName = (): string => `n${randomUUID().replaceAll('-', '')}`;
const subject = (): string => `${randomName()}-value`;

const recordOf = (fields: readonly AvroField[]): AvroNamed => ({
  type: 'record',
  name: 'Value',
  fields,
});

const shape = (topic: string) => ({
  topic: `${topic}.public.orders`,
  key: ['id'],
  columns: [
    { name: 'id', type: { kind: 'int64' } as const, optional: false },
    { name: 'placed', type: { kind: 'timestamp', unit: 'us' } as const, optional: true },
    { name: 'total', type: { kind: 'decimal', precision: 12, scale: 2 } as const, optional: true },
    { name: 'odd', type: { kind: 'variable-decimal' } as const, optional: true },
    { name: 'tags', type: { kind: 'array', items: { kind: 'string' } } as const, optional: true },
  ],
});

const envelope = (topic: string): AvroSchema =>
  envelopeSchema(shape(topic), sourceSchema('postgresql', [{ name: 'schema', type: 'string' }]));

const key = (topic: string): AvroSchema => keySchema(shape(topic)) ?? 'null';
