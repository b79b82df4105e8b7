import { openLogicalMessages, type LogicalMessages } from './logical-messages.ts';
import type { ResolvedOptions } from './options.ts';
import { openSchemaChanges, type SchemaChanges } from './schema-changes.ts';
import type { EncoderContext } from './table-encoder.ts';
import { TransactionOrder } from './transaction-order.ts';
import { openTransactionTopic } from './transaction-topic.ts';

/** What a stream has besides the changes of tables; null for what is not wanted. */
export interface StreamTopics {
  readonly messages: LogicalMessages | null;
  readonly order: TransactionOrder | null;
  readonly schemas: SchemaChanges | null;
}

/** Registers the schemas of the topics that are wanted. */
export async function openStreamTopics(
  options: ResolvedOptions,
  context: EncoderContext,
): Promise<StreamTopics> {
  const { messagePrefixInclude: include, messagePrefixExclude: exclude } = options;
  const wanted = include.length > 0 && !exclude.includes('*');
  return {
    messages: wanted ? await openLogicalMessages({ include, exclude }, context) : null,
    order: options.provideTransactionMetadata
      ? new TransactionOrder(await openTransactionTopic(context))
      : null,
    schemas: options.includeSchemaChanges ? await openSchemaChanges(context) : null,
  };
}
