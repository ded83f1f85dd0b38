import path from 'node:path';
import type { DatabaseUrls } from '../database/platform-database.ts';
import type { LauncherSettings } from '../settings.ts';
import type { Home } from '../state/home.ts';
import type { SigningKeyFiles } from '../state/signing-keys.ts';
import type { Service, ServiceName } from './services.ts';

export interface EnvironmentParts {
  readonly settings: LauncherSettings;
  readonly home: Home;
  readonly ports: Addresses;
  readonly databases: DatabaseUrls;
  readonly keys: SigningKeyFiles;
  /** The launcher's own environment, from which only what is harmless goes on. */
  readonly inherited: Readonly<Record<string, string | undefined>>;
}

/** Where each process listens. */
export interface Addresses {
  portOf(name: ServiceName | 'gateway-internal'): number;
  /** Address of a service on loopback. */
  urlOf(name: ServiceName): string;
  /** Address of the gateway for users. */
  readonly publicUrl: string;
  /** Port of the gateway for gRPC. */
  readonly grpcPort: number;
  /** The same as users write it: host and port. */
  readonly grpcAddress: string;
}

/** What every program may need of the system. */
const FROM_SYSTEM = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'NODE_V8_COVERAGE'];
/** What a worker needs beside: where its secrets for other servers are, and where the libraries of graphics cards are. */
const FOR_WORKER = ['WEIR_WORKER_SECRETS_DIR', 'LD_LIBRARY_PATH', 'CUDA_VISIBLE_DEVICES', 'VK_DRIVER_FILES', 'VK_ICD_FILENAMES'];
/** How a worker is set up beside everything else on one machine, unless its settings say otherwise: five minutes without a call free a model's memory. */
const FOR_ONE_MACHINE = { WEIR_WORKER_IDLE_UNLOAD_MS: '300000' };
/** The launcher decides these, or they are secrets of the launcher or of the demonstration. */
const NEVER_PASSED =
  /^WEIR_(?:HOME|HOST|PORT|GRPC_PORT|URL|START_TIMEOUT_MS|DATABASE_.*|BUS_URL|INTERNAL_PORT|.*(?:PASSWORD|SECRET|TOKEN|API_KEY|EMAIL).*)$/;

/** The whole environment of a service: what it needs, and no secret of another. */
export function environmentOf(service: Service, parts: EnvironmentParts): Record<string, string> {
  const { settings, home, ports, databases, keys, inherited } = parts;
  const kafkaPassword = inherited.WEIR_KAFKA_PASSWORD;
  return {
    ...(service.name === 'worker' ? FOR_ONE_MACHINE : {}),
    ...passedOn(inherited, isForAll),
    // Compiled code of the last start: a warm start then needs half the processor time.
    NODE_COMPILE_CACHE: home.compileCache,
    WEIR_HOST: '127.0.0.1',
    WEIR_PORT: String(ports.portOf(service.name)),
    WEIR_LOG_LEVEL: settings.logLevel,
    WEIR_BUS: settings.bus,
    ...(settings.bus === 'embedded'
      ? { WEIR_BUS_URL: databases.of(service.name) }
      : kafkaPassword === undefined
        ? {}
        : { WEIR_KAFKA_PASSWORD: kafkaPassword }),
    WEIR_SIGNING_KEY_FILE: keys.privateKeyOf(service.name),
    WEIR_INTERNAL_KEYS_FILE: keys.keySet,
    ...(service.hasDatabase ? { WEIR_DATABASE_URL: databases.of(service.name) } : {}),
    ...(service.name === 'worker' ? passedOn(inherited, (name) => FOR_WORKER.includes(name)) : {}),
    ...ownSettings(service.name, settings, home, ports),
  };
}

function ownSettings(name: ServiceName, settings: LauncherSettings, home: Home, ports: Addresses): Record<string, string> {
  switch (name) {
    case 'gateway':
      return {
        WEIR_HOST: settings.host,
        WEIR_PORT: String(settings.port),
        WEIR_GRPC_PORT: String(ports.grpcPort),
        WEIR_PUBLIC_URL: ports.publicUrl,
        WEIR_INTERNAL_PORT: String(ports.portOf('gateway-internal')),
        WEIR_AUTH_URL: ports.urlOf('auth'),
        WEIR_REGISTRY_URL: ports.urlOf('registry'),
        WEIR_METERING_URL: ports.urlOf('metering'),
        WEIR_BILLING_URL: ports.urlOf('billing'),
        WEIR_SPOOL_DIR: home.spool,
      };
    case 'registry':
      return { WEIR_REGISTRY_PUBLIC_URL: ports.urlOf('registry'), WEIR_ARTIFACTS_DIR: home.artifacts };
    case 'worker':
      return { WEIR_WORKER_ID: 'worker-1', WEIR_WORKER_URL: ports.urlOf('worker'), WEIR_WORKER_CACHE_DIR: home.workerCache };
    case 'auth':
      return { WEIR_PUBLIC_URL: ports.publicUrl };
    case 'metering':
    case 'billing':
      return {};
  }
}

function isForAll(name: string): boolean {
  return FROM_SYSTEM.includes(name) || name.startsWith('OTEL_') || (name.startsWith('WEIR_') && !NEVER_PASSED.test(name));
}

function passedOn(inherited: Readonly<Record<string, string | undefined>>, isPassed: (name: string) => boolean): Record<string, string> {
  return Object.fromEntries(
    Object.entries(inherited).filter((entry): entry is [string, string] => entry[1] !== undefined && isPassed(entry[0])),
  );
}

/** The compiled entry of a service. */
export function scriptOf(root: string, name: ServiceName): string {
  return path.join(root, 'apps', name, 'dist', 'main.js');
}
