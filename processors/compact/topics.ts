import { topicName, type TopicName } from '../../broker/broker.ts';
import { MillraceError } from '../../errors.ts';

/** Every change of a table once, in order per key, whole where that is possible. */
export function changesTopic(raw: TopicName): TopicName {
  return derived(raw, 'changes');
}

/** The newest row per key; tombstones of deleted keys. It is also what the state is rebuilt from. */
export function latestTopic(raw: TopicName): TopicName {
  return derived(raw, 'latest');
}

function derived(raw: TopicName, suffix: string): TopicName {
  const topic = topicName(raw, suffix);
  if (topic.endsWith(`.${suffix}`)) return topic;
  throw new MillraceError(
    'CONFIG_INVALID',
    `the name of topic ${raw} leaves no room for a suffix`,
    {
      expected: 'at most 241 characters in prefix, schema and table together',
      remedy: 'Choose a shorter `pipeline` name.',
    },
  );
}
