import { defineSettings, settingSchemas, type SettingsOf } from '@weir/platform/config';
import { z } from 'zod';

/** What the launcher is told. Settings of single services (see their READMEs) are passed on to them. */
export const launcherSettings = defineSettings({
  home: { env: 'WEIR_HOME', schema: z.string().default('.weir'), description: 'folder for all state; relative to the project' },
  host: {
    env: 'WEIR_HOST',
    schema: z.string().default('127.0.0.1'),
    description: 'address that the gateway listens on; loopback unless told otherwise',
  },
  port: {
    env: 'WEIR_PORT',
    schema: z.coerce
      .number('must be a port number')
      .int('must be a whole number')
      .min(1, 'must be 1 to 65535')
      .max(65535, 'must be 1 to 65535')
      .default(4000),
    description: 'port that the gateway listens on',
  },
  grpcPort: {
    env: 'WEIR_GRPC_PORT',
    schema: z.coerce
      .number('must be a port number')
      .int('must be a whole number')
      .min(0, 'must be 0 to 65535')
      .max(65535, 'must be 0 to 65535')
      .optional(),
    description:
      'port that the gateway listens on for gRPC; 0 takes a free one; without it 4001, or a free one where another program has that',
  },
  publicUrl: {
    env: 'WEIR_PUBLIC_URL',
    schema: settingSchemas.url().optional(),
    description: 'address that users see, when a proxy stands before the gateway',
  },
  bus: {
    env: 'WEIR_BUS',
    schema: z.enum(['embedded', 'kafka'], 'must be embedded or kafka').default('embedded'),
    description: 'which event bus',
  },
  kafkaBrokers: {
    env: 'WEIR_KAFKA_BROKERS',
    schema: settingSchemas.optionalText(),
    description: 'host:port of Kafka brokers, comma separated; needed when WEIR_BUS is kafka',
  },
  databaseAdminUrl: {
    env: 'WEIR_DATABASE_ADMIN_URL',
    schema: settingSchemas.url().optional(),
    description:
      'address of a PostgreSQL of your own, with a role that may create roles and schemas; without it an embedded one is started',
  },
  logLevel: {
    env: 'WEIR_LOG_LEVEL',
    schema: z
      .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'], 'must be trace, debug, info, warn, error or silent')
      .default('info'),
    description: 'least level that services log',
  },
  startTimeoutMs: {
    env: 'WEIR_START_TIMEOUT_MS',
    schema: settingSchemas.integer(1_000, 3_600_000, 90_000),
    description: 'milliseconds that a service may take to become ready',
  },
  livenessTimeoutMs: {
    env: 'WEIR_LIVENESS_TIMEOUT_MS',
    schema: settingSchemas.integer(1_000, 3_600_000, 30_000),
    description:
      'milliseconds without an answer of its /health/live after which a service counts as frozen, and is killed and started again',
  },
});

export type LauncherSettings = SettingsOf<typeof launcherSettings>;
