import type { EventBusConfig } from '../create-event-bus.ts';

/** What a process of the suite is to do. */
export type ProcessTask =
  /** Sends the values `from`, `from + 1`, … under the key, one after the other, until it is killed. */
  | { readonly role: 'produce'; readonly topic: string; readonly key: string; readonly from: number }
  /** Handles records; `holds` makes it keep each batch in hand for ever after it told of it. */
  | { readonly role: 'consume'; readonly topic: string; readonly group: string; readonly holds: boolean };

export interface ProcessOrder {
  readonly config: EventBusConfig;
  readonly task: ProcessTask;
}

/** What it tells the suite. */
export type ProcessMessage =
  | { readonly kind: 'joined' }
  | { readonly kind: 'acknowledged'; readonly value: number }
  | {
      readonly kind: 'handled';
      readonly records: readonly {
        readonly partition: number;
        readonly offset: number;
        readonly key: string;
        readonly value: string | null;
      }[];
    };
