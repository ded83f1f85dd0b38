import { generateKeyPairSync } from 'node:crypto';
import { tmpdir } from 'node:os';
import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { Module } from '@nestjs/common';
import { issueApiKey, PLATFORM_TENANT_ID, signSessionToken } from '@weir/access';
import {
  apiKeyChanged,
  deploymentChanged,
  entitlementChanged,
  priceListPublished,
  signingKeyChanged,
  tenantChanged,
  workerChanged,
  WORKER_HEARTBEAT_MS,
  type DeploymentState,
  type EventDefinition,
  type WorkerState,
} from '@weir/contracts';
import { systemIds } from '@weir/kernel';
import { toRecord } from '@weir/platform/bus';
import { eventually, startTestService, type TestService } from '@weir/testing';
import { EdgeModule } from '../edge/edge.module.ts';
import { GraphModule } from '../graph/graph.module.ts';
import { ProjectionsModule } from '../projections/projections.module.ts';
import { gatewaySettings } from '../settings.ts';
import { aDeployment, anEntitlement, aPriceList } from './gateway-world.fixture.ts';
import { GrpcServer } from './grpc/grpc-server.ts';
import { InferenceModule } from './inference.module.ts';
import { ProtocolWorker } from './protocol-worker.fixture.ts';

@Module({ imports: [EdgeModule, ProjectionsModule, InferenceModule, GraphModule] })
class SpecModule {}

/** Largest body of a request in the spec. */
export const BODY_LIMIT_BYTES = 200_000;

/** A gateway with its surfaces of inference, a worker behind it, and callers with keys. */
export class OpenInferenceWorld {
  readonly #heartbeat = setInterval(() => void this.announceWorker(this.#state), WORKER_HEARTBEAT_MS);
  #state: Partial<WorkerState> = {};

  private constructor(
    readonly gateway: TestService,
    readonly worker: ProtocolWorker,
    readonly spool: string,
  ) {}

  static async start(): Promise<OpenInferenceWorld> {
    const nowhere = 'http://127.0.0.1:9';
    const spool = mkdtempSync(path.join(tmpdir(), 'weir-open-inference-'));
    const gateway = await startTestService(
      {
        name: 'gateway',
        module: SpecModule,
        settings: gatewaySettings,
        surface: 'public',
        bodyLimitBytes: (settings) => settings.bodyLimitBytes,
      },
      {
        environment: {
          WEIR_AUTH_URL: nowhere,
          WEIR_REGISTRY_URL: nowhere,
          WEIR_METERING_URL: nowhere,
          WEIR_BILLING_URL: nowhere,
          WEIR_SPOOL_DIR: spool,
          WEIR_BODY_LIMIT_BYTES: String(BODY_LIMIT_BYTES),
          WEIR_REQUESTS_PER_MINUTE: '100000',
          WEIR_TENANT_REQUESTS_PER_MINUTE: '1000000',
        },
      },
    );
    const world = new OpenInferenceWorld(gateway, await ProtocolWorker.start(gateway.keySet), spool);
    await world.announce(priceListPublished, aPriceList);
    await world.announce(deploymentChanged, aDeployment());
    await world.announceWorker({});
    return world;
  }

  /** Address of the gRPC surface. */
  get grpcAddress(): string {
    return `127.0.0.1:${this.gateway.app.get(GrpcServer).port}`;
  }

  /** A tenant with a plan that covers every model, and a key of it; known at the gateway when this returns. */
  async aKey(
    tenantId: string,
    scopes: readonly string[] = ['infer', 'models.read'],
    requestsPerMinute: number | null = null,
  ): Promise<string> {
    const { id, secret, digest } = issueApiKey();
    await this.announce(tenantChanged, { id: tenantId, slug: tenantId, displayName: tenantId, status: 'active' });
    await this.announce(entitlementChanged, anEntitlement({ tenantId }));
    await this.announce(apiKeyChanged, {
      id,
      tenantId,
      digest,
      name: 'spec',
      scopes: [...scopes],
      limits: { requestsPerMinute, maxInFlight: null },
      expiresAt: null,
    });
    await this.#known(secret);
    return secret;
  }

  /** The session token of an operator, known at the gateway when this returns. */
  async anOperator(): Promise<string> {
    const kid = 'auth.spec';
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const { x = '' } = publicKey.export({ format: 'jwk' });
    await this.announce(signingKeyChanged, { id: kid, jwk: { kty: 'OKP', crv: 'Ed25519', x } });
    await this.announce(entitlementChanged, anEntitlement({ tenantId: PLATFORM_TENANT_ID }));
    const session = {
      id: 's1',
      personId: 'operator-1',
      tenantId: PLATFORM_TENANT_ID,
      role: 'operator',
      expiresAtMs: Date.now() + 3_600_000,
    } as const;
    const token = await signSessionToken(session, { ...privateKey.export({ format: 'jwk' }), kid }, Date.now());
    await this.#known(token);
    return token;
  }

  async #known(secret: string): Promise<void> {
    await eventually(async () => {
      const { status } = await fetch(`${this.gateway.url}/v2/models/nothing/ready`, { headers: { authorization: `Bearer ${secret}` } });
      return status !== 401;
    });
  }

  /** A deployment, known at the gateway when this returns. */
  async deploy(deployment: Partial<DeploymentState>): Promise<void> {
    await this.announce(deploymentChanged, aDeployment(deployment));
  }

  /** What the worker says of itself. */
  async announceWorker(worker: Partial<WorkerState>): Promise<void> {
    this.#state = worker;
    const now = new Date().toISOString();
    await this.announce(workerChanged, {
      id: 'worker-1',
      url: 'http://127.0.0.1:9',
      startedAt: now,
      heartbeatAt: now,
      state: 'serving',
      memoryBytes: 0,
      versions: [{ versionId: 'version-1', state: 'ready', url: this.worker.url }],
      ...worker,
    });
  }

  async announce<T>(definition: EventDefinition<T>, data: T): Promise<void> {
    await this.gateway.bus.send(definition.topic, [
      toRecord(definition, data, { id: systemIds.next(), source: 'spec', tenant: 'acme', occurredAt: new Date().toISOString() }),
    ]);
  }

  async close(): Promise<void> {
    clearInterval(this.#heartbeat);
    await this.gateway.close();
    this.worker.stop();
    rmSync(this.spool, { recursive: true, force: true });
  }
}
