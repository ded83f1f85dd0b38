/** Migrations that every service's schema gets before its own. Applied ones are never edited: add the next. */
export const PLATFORM_MIGRATIONS: readonly { readonly name: string; readonly sql: string }[] = [
  {
    name: 'platform_0001_outbox_and_inbox',
    sql: `
      -- Events that are committed but not yet on the bus, in the order in which they are sent.
      create table outbox (
        id         bigint generated always as identity primary key,
        topic      text not null,
        key        text not null,
        value      text, -- null: a tombstone
        headers    jsonb not null default '{}',
        created_at timestamptz not null default now()
      );
      -- The first record of a partition whose effect is not yet in this schema.
      create table inbox_offsets (
        topic       text not null,
        partition   integer not null,
        next_offset bigint not null,
        primary key (topic, partition)
      );
    `,
  },
  {
    name: 'platform_0002_inbox_time',
    sql: `
      -- When the bus took the newest record that was handled, in milliseconds since the epoch. A record below next_offset that is
      -- newer was never handled: the topic was recreated or restored, and its offsets started from 0. Null: not known yet.
      alter table inbox_offsets add column newest_ms bigint;
    `,
  },
];
