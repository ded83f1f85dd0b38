import { assertNever } from '@weir/kernel';
import type { Logger } from 'pino';
import { EmbeddedEventBus, type EmbeddedBusConfig } from './embedded/embedded-event-bus.ts';
import type { EventBus } from './event-bus.ts';
import type { KafkaBusConfig } from './kafka/kafka-config.ts';
import { KafkaEventBus } from './kafka/kafka-event-bus.ts';

export type EventBusConfig = EmbeddedBusConfig | KafkaBusConfig;

/** The event bus that the settings name. It connects by itself, now or when the server comes up. */
export function createEventBus(config: EventBusConfig, options: { readonly logger: Logger; readonly clientId: string }): EventBus {
  switch (config.kind) {
    case 'embedded':
      return new EmbeddedEventBus(config, options);
    case 'kafka':
      return new KafkaEventBus(config, options);
    default:
      return assertNever(config);
  }
}
