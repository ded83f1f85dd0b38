import { TOPIC_SIZES } from '@weir/contracts';
import { z } from 'zod';
import { defineSettings, settingSchemas, type SettingsOf } from '../config/index.ts';

/** What every process of the platform is told. */
export const baseSettings = defineSettings({
  host: { env: 'WEIR_HOST', schema: z.string().default('127.0.0.1'), description: 'address to listen on; loopback unless told otherwise' },
  port: { env: 'WEIR_PORT', schema: settingSchemas.port(0), description: 'port to listen on; 0 takes a free one' },
  logLevel: {
    env: 'WEIR_LOG_LEVEL',
    schema: z
      .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'], 'must be trace, debug, info, warn, error or silent')
      .default('info'),
    description: 'least level that is logged',
  },
  bus: {
    env: 'WEIR_BUS',
    schema: z.enum(['embedded', 'kafka'], 'must be embedded or kafka').default('embedded'),
    description: 'which event bus',
  },
  busUrl: {
    env: 'WEIR_BUS_URL',
    schema: settingSchemas.optionalText(),
    description: "PostgreSQL address of the embedded bus with the service's own role; needed when WEIR_BUS is embedded",
  },
  kafkaBrokers: {
    env: 'WEIR_KAFKA_BROKERS',
    schema: settingSchemas.list(),
    description: 'host:port of Kafka brokers, comma separated; needed when WEIR_BUS is kafka',
  },
  kafkaTls: { env: 'WEIR_KAFKA_TLS', schema: settingSchemas.boolean(false), description: 'connect to Kafka over TLS' },
  kafkaUsername: { env: 'WEIR_KAFKA_USERNAME', schema: settingSchemas.optionalText(), description: 'SASL user for Kafka (SCRAM-SHA-512)' },
  kafkaPassword: { env: 'WEIR_KAFKA_PASSWORD', schema: settingSchemas.optionalText(), description: 'SASL password for Kafka' },
  kafkaReplicationFactor: {
    env: 'WEIR_KAFKA_REPLICATION_FACTOR',
    schema: settingSchemas.integer(-1, 32_767, -1).refine((factor) => factor !== 0, 'must be -1, or 1 and more'),
    description: "copies of each partition of the Kafka topics that are created; -1 takes the cluster's default.replication.factor",
  },
  kafkaMinInSyncReplicas: {
    env: 'WEIR_KAFKA_MIN_INSYNC_REPLICAS',
    schema: settingSchemas.integer(0, 32_767, 0),
    description:
      "min.insync.replicas of the Kafka topics that are created; 0 takes 2 where they get three copies or more, else the cluster's default",
  },
  busSize: {
    env: 'WEIR_BUS_SIZE',
    schema: z.enum(TOPIC_SIZES, 'must be small, medium or large').default('small'),
    description: 'size class: how many partitions the topics of usage get when they are created (docs/events.md)',
  },
  busRetentionDays: {
    env: 'WEIR_BUS_RETENTION_DAYS',
    schema: settingSchemas.integer(1, 3_650, 30),
    description: 'days for which facts other than dead letters stay on the bus',
  },
  databaseUrl: {
    env: 'WEIR_DATABASE_URL',
    schema: settingSchemas.optionalText(),
    description: "PostgreSQL address with the service's own role; for services that keep state",
  },
  migrationsDirectory: {
    env: 'WEIR_MIGRATIONS_DIRECTORY',
    schema: settingSchemas.optionalText(),
    description: 'folder with <service>/migrations; by default prisma/ of the repository',
  },
  signingKeyFile: {
    env: 'WEIR_SIGNING_KEY_FILE',
    schema: settingSchemas.requiredText(),
    description: 'file with the private JSON Web Key (Ed25519) that signs calls to other services',
  },
  internalKeysFile: {
    env: 'WEIR_INTERNAL_KEYS_FILE',
    schema: settingSchemas.requiredText(),
    description: "file with the JSON Web Key Set of all services' public keys",
  },
  degradedAfterMs: {
    env: 'WEIR_DEGRADED_AFTER_MS',
    schema: settingSchemas.integer(100, 86_400_000, 30_000),
    description:
      'milliseconds that a record, an event of the outbox or usage in the spool may wait before /health/ready?verbose reports degraded',
  },
  otlpEndpoint: {
    env: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    schema: settingSchemas.url().optional(),
    description: 'address of an OpenTelemetry collector; traces are recorded only with it',
  },
  shutdownTimeoutMs: {
    env: 'WEIR_SHUTDOWN_TIMEOUT_MS',
    schema: settingSchemas.integer(100, 600_000, 15_000),
    description: 'milliseconds that work under way gets to finish when the process is told to stop',
  },
});

export type BaseSettings = SettingsOf<typeof baseSettings>;
