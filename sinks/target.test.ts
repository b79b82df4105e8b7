import { expect, test } from 'vitest';
import { topicName } from '../broker/broker.ts';
import { Targets } from './target.ts';

const topic = (name: string) => topicName('shop', name, 'changes');

test('a topic goes to the schema and table in its name', () => {
  expect(new Targets({ prefix: 'shop' }).of(topic('public.orders'))).toMatchObject({
    schema: 'public',
    table: 'orders',
    mode: 'merge',
    deletes: 'hard',
  });
});

test('a prefix with dots, a table with dots and a table without a schema are told apart', () => {
  const targets = new Targets({ prefix: 'eu.shop' });
  const of = (name: string) => targets.of(topicName('eu.shop', name, 'changes'));
  expect(of('public.a.b')).toMatchObject({ schema: 'public', table: 'a.b' });
  expect(of('orders')).toMatchObject({ schema: 'main', table: 'orders' });
});

test('what a table says of itself goes before what is said of all', () => {
  const targets = new Targets({
    prefix: 'shop',
    mode: 'append',
    delete: 'soft',
    tables: {
      'public.order items': { mode: 'merge', name: 'items' },
      'public.log': { name: 'audit.log' },
    },
  });
  expect(targets.of(topic('public.order items'))).toMatchObject({
    schema: 'public',
    table: 'items',
    mode: 'merge',
    deletes: 'soft',
  });
  expect(targets.of(topic('public.log'))).toMatchObject({
    schema: 'audit',
    table: 'log',
    mode: 'append',
  });
});

test('two topics cannot share a table, also not by case, and none can have ours', () => {
  const targets = new Targets({ prefix: 'shop', tables: { 'public.b': { name: 'Public.A' } } });
  targets.of(topic('public.a'));
  expect(() => targets.of(topic('public.b'))).toThrow('the table Public.A is taken');
  expect(() => targets.of(topic('_millrace.offsets'))).toThrow('is taken');
  expect(targets.of(topic('public.a')).table).toBe('a');
});
