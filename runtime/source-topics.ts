import { topicName, type TopicSettings } from '../broker/broker.ts';
import type { Config } from '../config.ts';

/**
 * The topics of a source that belong to no table, under Debezium's names. No stage of ours reads them;
 * they are kept as long as raw topics, but for definitions of tables, which are few.
 */
export function besideTables({ pipeline, partitions, source, topics }: Config): TopicSettings[] {
  const kept = {
    cleanup: 'delete',
    retentionMs: topics.rawRetention,
    retentionBytes: null,
    tombstoneRetentionMs: topics.tombstoneRetention,
  } as const;
  const { messagePrefixInclude, messagePrefixExclude } = source;
  const { provideTransactionMetadata, includeSchemaChanges } = source;
  const found: TopicSettings[] = [];
  if (messagePrefixInclude.length > 0 && !messagePrefixExclude.includes('*')) {
    found.push({ ...kept, topic: topicName(pipeline, 'message'), partitions });
  }
  // One partition: a transaction ends after it began, and before the next one does.
  if (provideTransactionMetadata) {
    found.push({ ...kept, topic: topicName(pipeline, 'transaction'), partitions: 1 });
  }
  if (includeSchemaChanges) {
    found.push({ ...kept, topic: topicName(pipeline), partitions: 1, retentionMs: null });
  }
  return found;
}
