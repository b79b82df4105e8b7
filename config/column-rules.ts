import { z } from 'zod';
import { group } from './group.ts';
import { text, whole } from './units.ts';

const columnList = () => z.array(text('a column'), { error: 'a list such as [email]' }).optional();

/** What is done to the columns of one table. */
export const columnRules = group({
  exclude: columnList().describe('Columns that are left out.'),
  mask: columnList().describe('Columns of text whose values become `****`.'),
  hash: columnList().describe('Columns of text whose values become their HMAC-SHA256, in hex.'),
  truncate: z
    .record(z.string(), whole(0, 1_000_000_000), { error: 'characters by column' })
    .optional()
    .describe('Columns of text that are cut after so many characters.'),
});
