export * from './auth.ts';
export * from './back-ends.ts';
export * from './billing.ts';
export { defineEvent, envelopeSchema, type EventDefinition, type EventEnvelope } from './envelope.ts';
export { modelName } from './fields.ts';
export * from './inference.ts';
export * from './metering.ts';
export * from './model-package.ts';
export * from './registry.ts';
export {
  ALL_TOPICS,
  busGrants,
  TOPICS,
  TOPIC_SIZES,
  topicsOf,
  type BusGrant,
  type TopicDefinition,
  type TopicName,
  type TopicSettings,
  type TopicSize,
} from './topics.ts';
