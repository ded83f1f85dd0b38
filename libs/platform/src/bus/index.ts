export { createEventBus, type EventBusConfig } from './create-event-bus.ts';
export type { EmbeddedBusConfig } from './embedded/embedded-event-bus.ts';
export type { KafkaBusConfig, KafkaSasl } from './kafka/kafka-config.ts';
export { DEAD_LETTER_HEADERS, deadTopic } from './dead-letters.ts';
export {
  PoisonRecordError,
  type BatchContext,
  type BusRecord,
  type EventBus,
  type Follower,
  type FollowOptions,
  type NewRecord,
  type PartitionLag,
  type RecordBatch,
  type SendOptions,
  type SubscribeOptions,
  type Subscription,
} from './event-bus.ts';
export { EVENT_TYPE_HEADER, eventTypeOf, parseRecord, toRecord, type EventAttributes } from './events.ts';
export { partitionOf } from './partitioner.ts';
export { KEY_MAX_BYTES, VALUE_MAX_BYTES } from './record-limits.ts';
export { TRACEPARENT_HEADER } from './trace-context.ts';
export { projectionOf, type ProjectedEvents, type Projection, type ProjectionChange, type ProjectionOptions } from './projection.ts';
