import { defineSettings, settingSchemas, type SettingsOf } from '@weir/platform/config';
import { trustIn } from '@weir/platform/http';
import type { BaseSettings } from '@weir/platform/service';
import { z } from 'zod';

const serviceUrl = (env: string, service: string) => ({
  env,
  schema: settingSchemas.url(),
  description: `address of the ${service} service`,
});

const trustedProxies = settingSchemas.list().superRefine((proxies, context) => {
  try {
    trustIn(proxies);
  } catch {
    context.addIssue({ code: 'custom', message: 'must be addresses, networks such as 10.0.0.0/8, loopback, linklocal or uniquelocal' });
  }
});

export const gatewaySettings = defineSettings({
  internalPort: {
    env: 'WEIR_INTERNAL_PORT',
    schema: settingSchemas.port(0),
    description: 'port for metrics, on loopback or the address of WEIR_INTERNAL_HOST; 0 takes a free one',
  },
  internalHost: { env: 'WEIR_INTERNAL_HOST', schema: z.string().default('127.0.0.1'), description: 'address of the internal port' },
  grpcPort: {
    env: 'WEIR_GRPC_PORT',
    schema: settingSchemas.port(0),
    description: 'port of the Open Inference Protocol over gRPC, on the address of WEIR_HOST; 0 takes a free one',
  },
  publicUrl: {
    env: 'WEIR_PUBLIC_URL',
    schema: settingSchemas.url().optional(),
    description: 'address that users see, when a proxy stands before the gateway',
  },
  trustedProxies: {
    env: 'WEIR_TRUSTED_PROXIES',
    schema: trustedProxies,
    description:
      "addresses or networks, comma separated, of the proxies before the gateway, or loopback, linklocal, uniquelocal: the client's address is the one that they report in X-Forwarded-For; the header of any other peer is ignored",
  },
  authUrl: serviceUrl('WEIR_AUTH_URL', 'auth'),
  registryUrl: serviceUrl('WEIR_REGISTRY_URL', 'registry'),
  meteringUrl: serviceUrl('WEIR_METERING_URL', 'metering'),
  billingUrl: serviceUrl('WEIR_BILLING_URL', 'billing'),
  spoolDirectory: {
    env: 'WEIR_SPOOL_DIR',
    schema: settingSchemas.requiredText(),
    description: 'folder for usage that the bus does not have yet; one gateway process each',
  },
  spoolSync: {
    env: 'WEIR_SPOOL_SYNC',
    schema: z.enum(['commit', 'write'], 'must be commit or write').default('commit'),
    description:
      'commit: usage is on the disk before an answer is sent, safe from a power cut; write: it is with the operating system, safe from the death of the process',
  },
  spoolMaxBytes: {
    env: 'WEIR_SPOOL_MAX_BYTES',
    schema: settingSchemas.integer(1_048_576, 1_099_511_627_776, 1_073_741_824),
    description: 'bytes of usage that may wait for the bus; when they are used up nothing is served',
  },
  keptAnswersMaxBytes: {
    env: 'WEIR_KEPT_ANSWERS_MAX_BYTES',
    schema: settingSchemas.integer(0, 1_099_511_627_776, 268_435_456),
    description:
      'bytes of answers that are stored for a day for calls with an idempotency key, in a folder of WEIR_SPOOL_DIR; the oldest go first; 0 stores none, and repeats are refused',
  },
  idempotencyMaxKeys: {
    env: 'WEIR_IDEMPOTENCY_MAX_KEYS',
    schema: settingSchemas.integer(4, 100_000_000, 400_000),
    description:
      'idempotency keys in use, each for a day and with some 270 bytes of memory; a quarter of them for one tenant; beyond, calls with new keys are refused',
  },
  requestsPerMinute: {
    env: 'WEIR_REQUESTS_PER_MINUTE',
    schema: settingSchemas.integer(1, 10_000_000, 600),
    description: 'calls a minute of a key that has no limit of its own',
  },
  maxInFlight: {
    env: 'WEIR_MAX_IN_FLIGHT',
    schema: settingSchemas.integer(1, 100_000, 64),
    description: 'calls in flight of a key that has no limit of its own',
  },
  tenantRequestsPerMinute: {
    env: 'WEIR_TENANT_REQUESTS_PER_MINUTE',
    schema: settingSchemas.integer(1, 10_000_000, 6_000),
    description: 'calls a minute of all keys and people of a tenant together, where the operator has set no limit of the tenant',
  },
  tenantMaxInFlight: {
    env: 'WEIR_TENANT_MAX_IN_FLIGHT',
    schema: settingSchemas.integer(1, 100_000, 256),
    description: 'calls in flight of all keys and people of a tenant together, where the operator has set no limit of the tenant',
  },
  gatewayMaxInFlight: {
    env: 'WEIR_GATEWAY_MAX_IN_FLIGHT',
    schema: settingSchemas.integer(2, 100_000, 1_024),
    description:
      'calls in flight of all tenants at this gateway; one tenant holds at most as many as are free, so half of them when it is alone',
  },
  inferenceTimeoutMs: {
    env: 'WEIR_INFERENCE_TIMEOUT_MS',
    schema: settingSchemas.integer(100, 3_600_000, 30_000),
    description: 'milliseconds that an inference may take from arrival to answer',
  },
  bodyLimitBytes: {
    env: 'WEIR_BODY_LIMIT_BYTES',
    schema: settingSchemas.integer(1_024, 1_073_741_824, 10_485_760),
    description: 'largest body of a request, in bytes; 16384 at most without a credential',
  },
  operationsPerTenant: {
    env: 'WEIR_GRAPHQL_OPERATIONS_PER_TENANT',
    schema: settingSchemas.integer(1, 10_000, 8),
    description:
      'GraphQL operations of a tenant in progress at once; sixteen times as many wait, more are refused. Inference has its own limits',
  },
  operationsPerAddress: {
    env: 'WEIR_GRAPHQL_OPERATIONS_PER_ADDRESS',
    schema: settingSchemas.integer(1, 10_000, 8),
    description: 'GraphQL operations without a credential in progress at once, of one address (of IPv6 a /64)',
  },
  socketsPerTenant: {
    env: 'WEIR_SOCKETS_PER_TENANT',
    schema: settingSchemas.integer(1, 100_000, 200),
    description: 'open WebSockets of a tenant',
  },
  socketsPerAddress: {
    env: 'WEIR_SOCKETS_PER_ADDRESS',
    schema: settingSchemas.integer(1, 100_000, 20),
    description:
      'open WebSockets without a caller, of one address (of IPv6 a /64); the oldest is closed for a new one, and each after 10 s',
  },
});

export type GatewaySettings = BaseSettings & SettingsOf<typeof gatewaySettings>;
