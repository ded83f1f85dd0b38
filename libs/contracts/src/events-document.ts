import { z } from 'zod';
import * as auth from './auth.ts';
import * as billing from './billing.ts';
import { envelopeSchema, type EventDefinition } from './envelope.ts';
import * as fields from './fields.ts';
import * as inference from './inference.ts';
import * as metering from './metering.ts';
import * as registry from './registry.ts';
import { ALL_TOPICS, type TopicDefinition } from './topics.ts';

/** The comments of contracts, by the name of the constant that they stand above, or by `<constant>.<field>`. */
export type ContractComments = ReadonlyMap<string, string>;

const DAY_MS = 86_400_000;

const exported: readonly (readonly [string, unknown])[] = [auth, billing, inference, metering, registry, { envelopeSchema }].flatMap(
  (module) => Object.entries(module),
);

/** The schemas that stand in contracts under a name, to find the comments of their fields. */
const schemaNames = new Map(
  exported.filter((entry): entry is readonly [string, z.ZodType] => entry[1] instanceof z.ZodType).map(([name, schema]) => [schema, name]),
);

/** Kinds of text that have a name of their own. */
const namedFields = new Map<unknown, string>([
  [fields.id, 'id'],
  [fields.instant, 'instant'],
  [fields.decimal, 'decimal'],
  [fields.currency, 'currency'],
  [fields.sha256, 'SHA-256'],
  [fields.modelName, 'model name'],
]);

/** `docs/events.md`: topics, envelope and events for people, from the contracts themselves. */
export function eventsDocument(comments: ContractComments): string {
  const events = exported.filter((entry): entry is readonly [string, EventDefinition<unknown>] => isEvent(entry[1]));
  return `# Events

<!-- Generated from libs/contracts; a test fails when it is not current. WEIR_UPDATE_DOCS=1 npx vitest run --project unit libs/contracts writes it anew. -->

Services tell each other what happened through the event bus: a log of keyed records in topics, on PostgreSQL (\`embedded\`, see [the decision](decisions/0002-embedded-event-log.md)) or on Apache Kafka. Both pass one conformance suite (\`libs/platform/src/bus/conformance.ts\`).

## Topics

Few, fixed, and keyed by tenant or by the thing itself, never one per tenant. A **projection** is compacted: it keeps the last value of each key for ever, and a tombstone (a record without a value) removes its key. A **fact** is kept for its retention.

| topic | kind | key | partitions | written by | read by |
|---|---|---|---|---|---|
${ALL_TOPICS.map(topicRow).join('\n')}

Where a topic has three numbers of partitions, they are those of the size classes \`small\`, \`medium\` and \`large\` (\`WEIR_BUS_SIZE\`: up to about 1,000 answered calls a second, 10,000, more). The number is fixed when the topic is created: choose the class before the first start. \`WEIR_BUS_RETENTION_DAYS\` sets the retention of facts other than dead letters.

**Rights.** A service appends to the topics that it writes and to its own dead letters, reads those that it reads, and is a member of the group of its own name. The embedded bus holds it by a role for each service and functions that check the grants ([decision 18](decisions/0018-roles-and-positions-on-the-bus.md)); on Kafka \`infra/kafka/acls.sh\`, which is generated from this table, sets the access control lists.

**On Kafka** a service creates its topics that are missing with the cluster's \`default.replication.factor\` (\`WEIR_KAFKA_REPLICATION_FACTOR\` overrides it), with \`min.insync.replicas\` 2 where they get three copies (\`WEIR_KAFKA_MIN_INSYNC_REPLICAS\`), and with times of the brokers (\`LogAppendTime\`). Sends wait for all replicas in sync. In production: three brokers, \`default.replication.factor=3\`; an acknowledged record then survives the loss of one broker's disk, and services start while one broker is down. Topics that exist are never changed: at its start a service logs a warning \`a topic differs from its settings\` with each difference.

## Envelope

The value of a record is JSON. Its attributes are those of CloudEvents 1.0 (\`id\`, \`type\`, \`source\`; \`time\` as \`occurredAt\`) plus the tenant and the trace. The type also stands in the header \`event-type\`, and the trace in \`traceparent\`.

${fieldTable(envelopeSchema, comments)}

## Events

An **id** is opaque text of 1 to 64 characters, an **instant** ISO 8601 in UTC, a **decimal** a plain decimal number as text, a **currency** an ISO 4217 code, a **SHA-256** 64 lower-case hexadecimal digits, a **model name** \`digits\` or \`acme/digits\`.

${events.map(([name, event]) => eventSection(name, event, comments)).join('\n\n')}

## What is promised

- **Order.** Records of one key are read in the order in which they were sent. Nothing is promised between keys.
- **At least once.** A record that \`send\` has acknowledged survives the crash of any process and a restart of the bus, and each group is handed it at least once. After a crash, a rebalance or an error, records may come again, from the first that was not committed.
- **Exactly once in effect.** A producer writes state and event in one transaction (the outbox); a consumer writes effect and position in one transaction (the inbox), and ignores an event id that it has. So an event counts once, however often it travels.
- **No skipped records.** A position is an offset together with the time of the newest handled record. A record below the offset that the bus took later was never handled: the topic was recreated or restored. It is handled, and the consumer logs \`the topic started again from a lower offset\`. Records between a restored backup and its loss may be handled twice, so effects are absolute values or keep event ids.
- **Replay to a known end.** A follower reads a projection from its beginning, says when it has everything that was there when it began, and then follows. While the bus is away it keeps what it has.
- **Room to grow.** Contracts only grow: a field is added as optional, a change that breaks readers is a new type (\`.v2\`). Readers ignore fields and types that they do not know.
- **Limits.** A value has at most 1 MiB, a key 1 KiB, the headers 16 KiB. A tombstone is kept for a day: a follower that was cut off for longer has to start anew.

## Dead letters

A record that can never be handled (it is not an event, its payload breaks the schema) goes to the topic \`<group>.dead\` with its key, value and headers as they were, before the group goes on behind it. Headers say why and from where: \`dead-reason\` (a sentence without payload), \`dead-group\`, \`dead-topic\`, \`dead-partition\`, \`dead-offset\`, \`dead-key\`, \`dead-type\`. A crash at the wrong moment can write one twice: the same topic, partition and offset are the same record. It is kept for 90 days.

After any other error (an unavailable database) the record is redelivered with exponential back-off of at most 10 s, without a limit on attempts; later records of its partition wait, other partitions proceed. The metrics \`weir_consumer_oldest_unprocessed_seconds\` and \`weir_consumer_lag_records\` show it, and \`/health/ready?verbose\` reports \`degraded\` ([operations](operations.md)).

## Adding an event

1. Define the payload and the event in \`libs/contracts/src/<owner>.ts\`: \`defineEvent({ type: 'owner.thing.happened.v1', topic, schema, key })\`. A comment above each field says what it means, with its unit.
2. A new topic goes into \`libs/contracts/src/topics.ts\`. Choose its partitions well: they are fixed for the life of the topic.
3. The producer calls \`outbox.publish(tx, definition, data, { tenant })\` in the transaction that changes the state; \`outbox.remove\` writes a tombstone.
4. A consumer that has an effect is an \`EventConsumer\`; one that keeps the current state in memory is a \`projectionOf\`.
5. \`WEIR_UPDATE_DOCS=1 npx vitest run --project unit libs/contracts\` brings this page up to date.
`;
}

/** One comment, and not the next one too. */
const COMMENT = String.raw`\/\*\*((?:(?!\*\/).)*)\*\/`;
const CONSTANT = new RegExp(String.raw`^${COMMENT}\nexport const (\w+) =`, 'gms');
const SCHEMA = /^export const (\w+) = z\s*\.object\(\{\n(.*?)^\s*\}\)/gms;
const FIELD = new RegExp(String.raw`^ +${COMMENT}\n +(\w+)[:,]`, 'gms');

/** Finds the comments above the constants of contracts and above the fields of their schemas. */
export function contractComments(sources: readonly string[]): ContractComments {
  const comments = new Map<string, string>();
  for (const source of sources) {
    for (const [, comment = '', constant = ''] of source.matchAll(CONSTANT)) comments.set(constant, asSentence(comment));
    for (const [, schema = '', body = ''] of source.matchAll(SCHEMA)) {
      for (const [, comment = '', field = ''] of body.matchAll(FIELD)) comments.set(`${schema}.${field}`, asSentence(comment));
    }
  }
  return comments;
}

function asSentence(comment: string): string {
  return comment
    .replaceAll(/\n\s*\*/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim();
}

function isEvent(value: unknown): value is EventDefinition<unknown> {
  return typeof value === 'object' && value !== null && 'topic' in value && 'schemaVersion' in value;
}

function topicRow(topic: TopicDefinition): string {
  const kind = topic.retentionMs === undefined ? topic.kind : `${topic.kind}, ${topic.retentionMs / DAY_MS} days`;
  const { partitions, partitionsOf } = topic;
  const sizes = partitionsOf === undefined ? partitions : `${partitions}, ${partitionsOf.medium}, ${partitionsOf.large}`;
  return `| \`${topic.name}\` | ${kind} | ${topic.key} | ${sizes} | ${topic.writtenBy.join(', ')} | ${topic.readBy.join(', ') || 'operators'} |`;
}

function eventSection(name: string, event: EventDefinition<unknown>, comments: ContractComments): string {
  return `### \`${event.type}\`

${comments.get(name) ?? ''} In \`${event.topic}\`, payload schema ${event.schemaVersion}.

${fieldTable(event.schema, comments)}`;
}

function fieldTable(schema: z.ZodType, comments: ContractComments): string {
  return ['| field | type | meaning |', '|---|---|---|', ...fieldRows(schema, '', comments)].join('\n');
}

/** Rows for the fields of an object, those of objects and lists of objects in it below them. */
function fieldRows(schema: z.ZodType, prefix: string, comments: ContractComments): string[] {
  if (!(schema instanceof z.ZodObject)) return [];
  const schemaName = schemaNames.get(schema) ?? '';
  return Object.entries(schema.shape as Record<string, z.ZodType>).flatMap(([name, field]) => {
    const { inner, path } = innermost(field, `${prefix}${name}`);
    return [
      `| \`${prefix}${name}\` | ${typeOf(field)} | ${escaped(comments.get(`${schemaName}.${name}`) ?? '')} |`,
      ...fieldRows(inner, `${path}.`, comments),
    ];
  });
}

/** What a field holds below its lists and its leave to be absent. */
function innermost(field: z.ZodType, path: string): { readonly inner: z.ZodType; readonly path: string } {
  if (field instanceof z.ZodOptional || field instanceof z.ZodNullable) return innermost(field.unwrap() as z.ZodType, path);
  if (field instanceof z.ZodArray) return innermost(field.element as z.ZodType, `${path}[]`);
  return { inner: field, path };
}

function typeOf(field: z.ZodType): string {
  const named = namedFields.get(field);
  if (named !== undefined) return named;
  if (field instanceof z.ZodOptional) return `${typeOf(field.unwrap() as z.ZodType)}, may be absent`;
  if (field instanceof z.ZodNullable) return `${typeOf(field.unwrap() as z.ZodType)} or null`;
  if (field instanceof z.ZodArray) return `list of ${typeOf(field.element as z.ZodType)}${bounds(field, 'minItems', 'maxItems')}`;
  if (field instanceof z.ZodEnum) return field.options.map((option) => `\`${option}\``).join(', ');
  if (field instanceof z.ZodLiteral) return [...field.values].map((value) => `\`${String(value)}\``).join(', ');
  if (field instanceof z.ZodUnion) return [...new Set(field.options.map((option) => typeOf(option as z.ZodType)))].join(' or ');
  if (field instanceof z.ZodObject) return 'object';
  if (field instanceof z.ZodUnknown) return 'the payload';
  const { type, format, pattern } = z.toJSONSchema(field);
  if (type === 'string') {
    if (format === 'date-time') return 'instant';
    if (format === 'uri') return 'URL';
    return pattern === undefined ? `text${bounds(field, 'minLength', 'maxLength')}` : `text like \`${escaped(pattern)}\``;
  }
  return `${String(type)}${bounds(field, 'minimum', 'maximum')}`;
}

/** Bounds that were set on purpose, such as ` (1 to 20)`. */
function bounds(field: z.ZodType, least: 'minItems' | 'minLength' | 'minimum', most: 'maxItems' | 'maxLength' | 'maximum'): string {
  const schema = z.toJSONSchema(field);
  const from = schema[least] ?? (schema.exclusiveMinimum === 0 ? 1 : undefined);
  const to = schema[most] === Number.MAX_SAFE_INTEGER ? undefined : schema[most];
  const start = from === -Number.MAX_SAFE_INTEGER ? undefined : from;
  if (start === undefined && to === undefined) return '';
  if (to === undefined) return ` (${start} or more)`;
  return start === undefined ? ` (at most ${to})` : ` (${start} to ${to})`;
}

function escaped(text: string): string {
  return text.replaceAll('|', '\\|');
}
