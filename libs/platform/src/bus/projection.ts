import type { EventDefinition } from '@weir/contracts';
import type { Logger } from 'pino';
import { PoisonRecordError, type BusRecord, type EventBus, type Follower } from './event-bus.ts';
import { eventTypeOf, parseRecord } from './events.ts';

/** Which events a projection keeps, each under a name of the caller's choice. */
// The payload type stands in both directions (a schema gives it, `key` takes it), so only `any` admits every definition.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type ProjectedEvents = Readonly<Record<string, EventDefinition<any>>>;

type PayloadOf<D> = D extends EventDefinition<infer T> ? T : never;

/** A change of a projection: the value is undefined when the key was removed. */
export type ProjectionChange<E extends ProjectedEvents> = {
  [Name in keyof E]: {
    readonly name: Name;
    readonly key: string;
    readonly value: PayloadOf<E[Name]> | undefined;
    readonly occurredAt: string | undefined;
  };
}[keyof E];

export interface ProjectionOptions<E extends ProjectedEvents> {
  readonly bus: EventBus;
  readonly logger: Logger;
  /** For example `{ tenants: tenantChanged, apiKeys: apiKeyChanged }`; their topics must be compacted ones. */
  readonly events: E;
  /** Called after a value was set or removed, during the replay too. Must not throw. */
  onChange?(change: ProjectionChange<E>): void;
}

/** The last value of every key of some compacted topics, in memory, kept current. */
export interface Projection<E extends ProjectedEvents> {
  /** A map for each event, from the record's key to its payload. Reads are O(1) and never wait. */
  readonly maps: { readonly [Name in keyof E]: ReadonlyMap<string, PayloadOf<E[Name]>> };
  /** Resolves when everything that was in the topics at the start is in the maps. */
  readonly caughtUp: Promise<void>;
  /** Has `caughtUp` resolved? */
  isCaughtUp(): boolean;
  /** Are changes arriving? False while the bus is away; the maps keep what they have. */
  isLive(): boolean;
  /** Records that were passed over because they do not parse. */
  skippedRecords(): number;
  close(): Promise<void>;
}

/** Follows the topics of the given events into maps. Events of other types are ignored, records that do not parse are counted and logged. */
export async function projectionOf<E extends ProjectedEvents>(options: ProjectionOptions<E>): Promise<Projection<E>> {
  const maps = new ProjectionMaps(options);
  const topics = [...new Set(Object.values(options.events).map((definition) => definition.topic))];
  const follower: Follower = await options.bus.follow({ topics, apply: (record) => maps.apply(record) });
  let isCaughtUp = false;
  void follower.caughtUp.then(() => {
    isCaughtUp = true;
  });
  return {
    maps: maps.maps,
    caughtUp: follower.caughtUp,
    isCaughtUp: () => isCaughtUp,
    isLive: () => follower.isLive(),
    skippedRecords: () => maps.skipped,
    close: () => follower.close(),
  };
}

class ProjectionMaps<E extends ProjectedEvents> {
  readonly maps: { readonly [Name in keyof E]: Map<string, PayloadOf<E[Name]>> };
  skipped = 0;
  private readonly options: ProjectionOptions<E>;
  private readonly names: readonly (keyof E)[];

  constructor(options: ProjectionOptions<E>) {
    this.options = options;
    this.names = Object.keys(options.events);
    const entries = this.names.map((name) => [name, new Map()]);
    this.maps = Object.fromEntries(entries) as { [Name in keyof E]: Map<string, PayloadOf<E[Name]>> };
  }

  apply(record: BusRecord): void {
    try {
      if (record.value === null) this.remove(record);
      else this.put(record);
    } catch (error) {
      if (!(error instanceof PoisonRecordError)) throw error;
      this.skipped++;
      const { topic, partition, offset } = record;
      this.options.logger.error(
        { topic, partition, offset, reason: error.reason },
        'a record of a projection does not parse and is passed over',
      );
    }
  }

  private remove(record: BusRecord): void {
    for (const name of this.names) {
      if (this.options.events[name]?.topic !== record.topic || !this.maps[name].delete(record.key)) continue;
      this.options.onChange?.({ name, key: record.key, value: undefined, occurredAt: undefined });
    }
  }

  private put(record: BusRecord): void {
    const type = eventTypeOf(record);
    for (const name of this.names) {
      const definition = this.options.events[name];
      if (definition === undefined || definition.topic !== record.topic || definition.type !== type) continue;
      const event = parseRecord(definition, record);
      this.maps[name].set(record.key, event.data);
      this.options.onChange?.({ name, key: record.key, value: event.data, occurredAt: event.occurredAt });
    }
  }
}
