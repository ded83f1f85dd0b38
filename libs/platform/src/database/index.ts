export { isUniqueViolation } from './conflicts.ts';
export { asUnavailable, isConnectionError } from './connection.ts';
export { DatabaseModule, type DatabaseModuleOptions } from './database.module.ts';
export { ACROSS_TENANTS, Database, type DatabaseOptions, type PrismaClientLike, type TenantScope, type TransactionOf } from './database.ts';
export { EventConsumer, on, onRemoved, type ConsumedEvent, type EventConsumerOptions, type RecordHandler } from './event-consumer.ts';
export { migrate, migrationsDirectory, type MigrateOptions } from './migrate.ts';
export { OutboxRelay, type OutboxRelayOptions } from './outbox-relay.ts';
export { Outbox, type OutboxRow, type OutboxTransaction, type PublishOptions } from './outbox.ts';
export { BUS_ROLE, prepareBus, prepareDatabase, prepareDatabaseScript, type PrepareDatabaseOptions } from './prepare-database.ts';
