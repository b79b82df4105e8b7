import { type ErrorCode, MillraceError } from '../../errors.ts';

/** Kafka's error codes that we meet. Source: the Kafka protocol guide, "Error Codes". */
const names = {
  [-1]: 'UNKNOWN_SERVER_ERROR',
  1: 'OFFSET_OUT_OF_RANGE',
  2: 'CORRUPT_MESSAGE',
  3: 'UNKNOWN_TOPIC_OR_PARTITION',
  5: 'LEADER_NOT_AVAILABLE',
  6: 'NOT_LEADER_OR_FOLLOWER',
  7: 'REQUEST_TIMED_OUT',
  8: 'BROKER_NOT_AVAILABLE',
  9: 'REPLICA_NOT_AVAILABLE',
  10: 'MESSAGE_TOO_LARGE',
  13: 'NETWORK_EXCEPTION',
  14: 'COORDINATOR_LOAD_IN_PROGRESS',
  15: 'COORDINATOR_NOT_AVAILABLE',
  16: 'NOT_COORDINATOR',
  17: 'INVALID_TOPIC_EXCEPTION',
  18: 'RECORD_LIST_TOO_LARGE',
  19: 'NOT_ENOUGH_REPLICAS',
  20: 'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  22: 'ILLEGAL_GENERATION',
  23: 'INCONSISTENT_GROUP_PROTOCOL',
  24: 'INVALID_GROUP_ID',
  25: 'UNKNOWN_MEMBER_ID',
  26: 'INVALID_SESSION_TIMEOUT',
  27: 'REBALANCE_IN_PROGRESS',
  29: 'TOPIC_AUTHORIZATION_FAILED',
  30: 'GROUP_AUTHORIZATION_FAILED',
  31: 'CLUSTER_AUTHORIZATION_FAILED',
  32: 'INVALID_TIMESTAMP',
  33: 'UNSUPPORTED_SASL_MECHANISM',
  35: 'UNSUPPORTED_VERSION',
  36: 'TOPIC_ALREADY_EXISTS',
  37: 'INVALID_PARTITIONS',
  38: 'INVALID_REPLICATION_FACTOR',
  40: 'INVALID_CONFIG',
  41: 'NOT_CONTROLLER',
  42: 'INVALID_REQUEST',
  44: 'POLICY_VIOLATION',
  45: 'OUT_OF_ORDER_SEQUENCE_NUMBER',
  46: 'DUPLICATE_SEQUENCE_NUMBER',
  47: 'INVALID_PRODUCER_EPOCH',
  48: 'INVALID_TXN_STATE',
  49: 'INVALID_PRODUCER_ID_MAPPING',
  50: 'INVALID_TRANSACTION_TIMEOUT',
  51: 'CONCURRENT_TRANSACTIONS',
  52: 'TRANSACTION_COORDINATOR_FENCED',
  53: 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  55: 'OPERATION_NOT_ATTEMPTED',
  56: 'KAFKA_STORAGE_ERROR',
  58: 'SASL_AUTHENTICATION_FAILED',
  59: 'UNKNOWN_PRODUCER_ID',
  68: 'NON_EMPTY_GROUP',
  69: 'GROUP_ID_NOT_FOUND',
  72: 'LISTENER_NOT_FOUND',
  73: 'TOPIC_DELETION_DISABLED',
  74: 'FENCED_LEADER_EPOCH',
  75: 'UNKNOWN_LEADER_EPOCH',
  76: 'UNSUPPORTED_COMPRESSION_TYPE',
  78: 'OFFSET_NOT_AVAILABLE',
  79: 'MEMBER_ID_REQUIRED',
  81: 'GROUP_MAX_SIZE_REACHED',
  82: 'FENCED_INSTANCE_ID',
  83: 'ELIGIBLE_LEADERS_NOT_AVAILABLE',
  87: 'INVALID_RECORD',
  88: 'UNSTABLE_OFFSET_COMMIT',
  89: 'THROTTLING_QUOTA_EXCEEDED',
  90: 'PRODUCER_FENCED',
  100: 'UNKNOWN_TOPIC_ID',
  113: 'UNRELEASED_INSTANCE_ID',
  120: 'TRANSACTION_ABORTABLE',
} as const;

export type FailureName = (typeof names)[keyof typeof names] | 'UNREACHABLE' | 'NOT_LISTED';

const transient: ReadonlySet<FailureName> = new Set([
  'UNREACHABLE',
  // Said by a node that has not learnt of it yet; whether there is none, metadata says.
  'UNKNOWN_TOPIC_OR_PARTITION',
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_OR_FOLLOWER',
  'REQUEST_TIMED_OUT',
  'BROKER_NOT_AVAILABLE',
  'REPLICA_NOT_AVAILABLE',
  'NETWORK_EXCEPTION',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'NOT_CONTROLLER',
  'CONCURRENT_TRANSACTIONS',
  'KAFKA_STORAGE_ERROR',
  'LISTENER_NOT_FOUND',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'OFFSET_NOT_AVAILABLE',
  'ELIGIBLE_LEADERS_NOT_AVAILABLE',
  'UNSTABLE_OFFSET_COMMIT',
  'THROTTLING_QUOTA_EXCEEDED',
  'UNKNOWN_TOPIC_ID',
]);

/** Another worker has taken over: of the group, or of the transactional id. */
const fenced: ReadonlySet<FailureName> = new Set([
  'ILLEGAL_GENERATION',
  'UNKNOWN_MEMBER_ID',
  'REBALANCE_IN_PROGRESS',
  'FENCED_INSTANCE_ID',
  'INVALID_PRODUCER_EPOCH',
  'PRODUCER_FENCED',
  'INVALID_PRODUCER_ID_MAPPING',
  'INVALID_TXN_STATE',
]);

const denied: ReadonlySet<FailureName> = new Set([
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
]);

/** What a node of the cluster answered, or that it did not answer. */
export class KafkaFailure extends Error {
  override readonly name = 'KafkaFailure';
  readonly failure: FailureName;

  constructor(failure: FailureName, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.failure = failure;
  }

  get transient(): boolean {
    return transient.has(this.failure);
  }

  get fenced(): boolean {
    return fenced.has(this.failure);
  }
}

/** Throws unless the code of an answer says that all is well. */
export function requireSuccess(code: number, place: string): void {
  if (code === 0) return;
  const name = (names as Readonly<Record<number, FailureName>>)[code] ?? 'NOT_LISTED';
  const text = name === 'NOT_LISTED' ? `error code ${code}` : name;
  throw new KafkaFailure(name, `${place}: ${text}`);
}

/** Whether it is one of those failures, also where it was made an error of ours already. */
export function isFailure(error: unknown, ...failures: readonly FailureName[]): boolean {
  const failure = failureOf(error);
  return failure !== null && failures.includes(failure.failure);
}

/** Whether it is a matter of time. */
export function isTransient(error: unknown): boolean {
  return failureOf(error)?.transient === true;
}

/** Whether another worker has taken over. */
export function isFenced(error: unknown): boolean {
  return failureOf(error)?.fenced === true;
}

function failureOf(error: unknown): KafkaFailure | null {
  if (error instanceof KafkaFailure) return error;
  return error instanceof MillraceError && error.cause instanceof KafkaFailure ? error.cause : null;
}

/** The same as an error with a code of ours; what is not a failure of the cluster is left as it is. */
export function brokerError(error: unknown, place?: string): unknown {
  if (!(error instanceof KafkaFailure)) return error;
  return new MillraceError(codeOf(error), error.message, {
    cause: error,
    ...(place === undefined ? {} : { place }),
  });
}

const codeByFailure: Partial<Readonly<Record<FailureName, ErrorCode>>> = {
  INVALID_TOPIC_EXCEPTION: 'TOPIC_UNKNOWN',
  MESSAGE_TOO_LARGE: 'RECORD_TOO_LARGE',
  RECORD_LIST_TOO_LARGE: 'RECORD_TOO_LARGE',
  OFFSET_OUT_OF_RANGE: 'OFFSET_OUT_OF_RANGE',
  SASL_AUTHENTICATION_FAILED: 'BROKER_AUTH',
  UNSUPPORTED_SASL_MECHANISM: 'BROKER_AUTH',
  UNSUPPORTED_VERSION: 'BROKER_VERSION',
  UNSUPPORTED_COMPRESSION_TYPE: 'BROKER_VERSION',
  CORRUPT_MESSAGE: 'BROKER_CORRUPT',
};

function codeOf({ failure }: KafkaFailure): ErrorCode {
  if (denied.has(failure)) return 'BROKER_DENIED';
  if (fenced.has(failure)) return 'BROKER_FENCED';
  if (transient.has(failure)) return 'BROKER_UNREACHABLE';
  return codeByFailure[failure] ?? 'BROKER_REFUSED';
}
