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
];
