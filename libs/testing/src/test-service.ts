import { randomBytes } from 'node:crypto';
import { INTERNAL_TOKEN_HEADER, InternalTokenSigner, type InternalKeySet, type Principal } from '@weir/access';
import { ALL_TOPICS } from '@weir/contracts';
import type { Clock, Ids } from '@weir/kernel';
import { createEventBus, projectionOf, type EventBus, type ProjectedEvents, type Projection } from '@weir/platform/bus';
import { loadSettings, type SettingDefinitions } from '@weir/platform/config';
import { baseSettings, startService, type RunningService, type ServiceDefinition, type ServiceParts } from '@weir/platform/service';
import { createLogger, createMetrics } from '@weir/platform/telemetry';
import { STATEFUL_SERVICES, type StatefulService, type TestDatabase } from './databases.ts';
import { freshDatabase } from './fresh-database.ts';
import { testSigningKeys, type SigningService } from './signing-keys.ts';

export interface TestServiceOptions {
  /** Default: a fresh one. Give the same to several services to let them talk over one bus. */
  readonly database?: TestDatabase;
  readonly clock?: Clock;
  readonly ids?: Ids;
  /** Environment variables of the service's settings. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Where log lines go; default nowhere. For specs that prove what is not logged. */
  readonly onLogLine?: (line: string) => void;
}

export interface GraphAnswer<Data> {
  readonly data?: Data | null;
  readonly errors?: readonly {
    readonly message: string;
    readonly path?: readonly (string | number)[];
    readonly extensions: { readonly code: string; readonly field?: string; readonly [name: string]: unknown };
  }[];
}

export interface TestRequest extends RequestInit {
  /** Who asks; null sends no token at all. */
  readonly principal: Principal | null;
  /** The service that calls; default the gateway. */
  readonly caller?: SigningService;
}

/** One service, booted in this process on a free port, with PostgreSQL, the embedded bus and signing keys of its own. */
export interface TestService {
  readonly url: string;
  readonly app: RunningService['app'];
  readonly database: TestDatabase;
  /** A connection to the same bus, for the spec's own use. */
  readonly bus: EventBus;
  /** Public keys of all services, for what stands in for a service that this one calls. */
  readonly keySet: InternalKeySet;
  /** What the bus says now of some projections, kept current until `close`. */
  project<E extends ProjectedEvents>(events: E): Promise<Projection<E>['maps']>;
  /** An internal token for this service. */
  tokenFor(principal: Principal, caller?: SigningService): Promise<string>;
  /** Sends an HTTP request with an internal token. */
  request(path: string, init: TestRequest): Promise<Response>;
  /** Runs a GraphQL document, and gives data and errors as they came. */
  graphql<Data = Record<string, unknown>>(
    principal: Principal,
    document: string,
    variables?: Record<string, unknown>,
    caller?: SigningService,
  ): Promise<GraphAnswer<Data>>;
  /** Stops the service as SIGTERM does; the spec's bus stays, to see what the service said last. */
  stop(): Promise<void>;
  /** Stops the service, when it still runs, and lets go of the bus. */
  close(): Promise<void>;
}

/** Boots a service as `runService` does, for its int specs. One service for a spec file: GraphQL's decorators are global to a process. */
export async function startTestService<D extends SettingDefinitions>(
  definition: ServiceDefinition<D>,
  options: TestServiceOptions = {},
): Promise<TestService> {
  const database = options.database ?? (await freshDatabase());
  const keys = await testSigningKeys();
  const settings = loadSettings(
    { ...baseSettings, ...definition.settings },
    {
      WEIR_BUS_URL: database.busUrlOf(definition.name),
      ...(isStateful(definition.name) ? { WEIR_DATABASE_URL: database.urlOf(definition.name) } : {}),
      // The keys are given directly below.
      WEIR_SIGNING_KEY_FILE: 'unused',
      WEIR_INTERNAL_KEYS_FILE: 'unused',
      ...options.environment,
    },
  );
  const service = { name: definition.name, instanceId: `${definition.name}-${randomBytes(4).toString('hex')}` };
  const logger = createLogger({
    service: service.name,
    instanceId: service.instanceId,
    level: 'debug',
    destination: { write: options.onLogLine ?? (() => {}) },
  });
  const newBus = (url: string, clientId: string): EventBus => createEventBus({ kind: 'embedded', url }, { logger, clientId });
  const bus = newBus(database.busUrl, 'spec');
  // The service creates what it writes; the spec creates the topics of the others.
  await bus.ensureTopics(ALL_TOPICS);
  const running = await startService(definition, {
    service,
    settings: settings as Parameters<typeof startService<D>>[1]['settings'],
    logger,
    metrics: createMetrics(service.name),
    bus: newBus(database.busUrlOf(definition.name), service.instanceId),
    signingKey: keys.keyOf(definition.name as SigningService),
    keySet: keys.keySet,
    ...optionalParts(options),
  });
  const project = async <E extends ProjectedEvents>(events: E): Promise<Projection<E>['maps']> => {
    const projection = await projectionOf({ bus, logger, events });
    await projection.caughtUp;
    return projection.maps;
  };
  const signers = new Map<SigningService, InternalTokenSigner>();
  const tokenFor = (principal: Principal, caller: SigningService = 'gateway'): Promise<string> => {
    const signer = signers.get(caller) ?? new InternalTokenSigner(keys.keyOf(caller));
    signers.set(caller, signer);
    return signer.sign(principal, definition.name);
  };
  const request = async (path: string, { principal, caller, ...init }: TestRequest): Promise<Response> => {
    const headers = new Headers(init.headers);
    if (principal !== null) headers.set(INTERNAL_TOKEN_HEADER, await tokenFor(principal, caller));
    return fetch(new URL(path, running.url), { ...init, headers, signal: init.signal ?? AbortSignal.timeout(20_000) });
  };
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= running.close());
  return {
    url: running.url,
    app: running.app,
    database,
    bus,
    keySet: keys.keySet,
    project,
    tokenFor,
    request,
    graphql: async <Data>(principal: Principal, document: string, variables: Record<string, unknown> = {}, caller?: SigningService) => {
      const response = await request('/graphql', {
        principal,
        ...(caller === undefined ? {} : { caller }),
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json' },
        body: JSON.stringify({ query: document, variables }),
      });
      return (await response.json()) as GraphAnswer<Data>;
    },
    stop,
    close: async () => {
      await bus.close();
      await stop();
    },
  };
}

function isStateful(name: string): name is StatefulService {
  return (STATEFUL_SERVICES as readonly string[]).includes(name);
}

function optionalParts(options: TestServiceOptions): Pick<ServiceParts, 'clock' | 'ids'> {
  return { ...(options.clock === undefined ? {} : { clock: options.clock }), ...(options.ids === undefined ? {} : { ids: options.ids }) };
}
