import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { servicePrincipal, type Principal } from '@weir/access';
import { deploymentChanged, placementChanged, tenantChanged, workerChanged, type TenantState, type WorkerState } from '@weir/contracts';
import { systemIds } from '@weir/kernel';
import { projectionOf, toRecord, type Projection } from '@weir/platform/bus';
import { createLogger } from '@weir/platform/telemetry';
import {
  aPrincipal,
  anOperator,
  eventually,
  onnxModel,
  startTestService,
  type GraphAnswer,
  type TestService,
  type TestServiceOptions,
} from '@weir/testing';
import { registryDefinition } from './registry.definition.ts';

export const operator = anOperator();
export const acme = aPrincipal();
export const globex = aPrincipal({ id: 'person-2', tenantId: 'globex' });
/** Somebody of acme who may look but not publish. */
export const reader = aPrincipal({ id: 'key-1', kind: 'api-key', scopes: ['models.read', 'infer'] });

const logger = createLogger({ service: 'registry', instanceId: 'spec', level: 'silent' });

export interface UploadedFile {
  readonly path: string;
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** A registry in this process, on a real PostgreSQL and bus, that knows the tenants acme and globex. */
export interface TestRegistry {
  readonly service: TestService;
  /** What the registry has announced. */
  readonly announced: Projection<{ deployments: typeof deploymentChanged; placements: typeof placementChanged }>;
  graphql<Data = Record<string, unknown>>(
    principal: Principal,
    document: string,
    variables?: Record<string, unknown>,
  ): Promise<GraphAnswer<Data>>;
  put(principal: Principal, content: Buffer, digest?: string, headers?: Readonly<Record<string, string>>): Promise<Response>;
  upload(principal: Principal, files: Readonly<Record<string, string | Buffer>>): Promise<UploadedFile[]>;
  publish(
    principal: Principal,
    input: Record<string, unknown>,
  ): Promise<GraphAnswer<{ publishModelVersion: { version: { id: string; digest: string }; model: { id: string } } }>>;
  /** A worker says that it lives. */
  hear(worker: Partial<WorkerState> & { id: string }): Promise<void>;
  /** A worker takes itself off the list. */
  leave(id: string): Promise<void>;
  close(): Promise<void>;
}

export function sha256(content: Buffer | string): string {
  return createHash('sha256').update(content).digest('hex');
}

/** `y = x`, float32 [n]; another note makes another file. */
export function aNetwork(note = ''): Buffer {
  return onnxModel({
    inputs: [{ name: 'x', dims: ['n'] }],
    outputs: [{ name: 'y', dims: ['n'] }],
    nodes: [{ operator: 'Identity', inputs: ['x'], outputs: ['y'] }],
    metadata: { note },
  });
}

/** The least that can be published. */
export const A_PACKAGE = { 'model.onnx': aNetwork(), 'weir.json': JSON.stringify({ task: 'tensors', displayName: 'A model' }) };

export async function startTestRegistry(
  options: Pick<TestServiceOptions, 'clock' | 'database' | 'environment'> = {},
): Promise<TestRegistry> {
  const directory = await mkdtemp(join(tmpdir(), 'weir-artifacts-'));
  const service = await startTestService(registryDefinition, {
    ...options,
    environment: { WEIR_ARTIFACTS_DIR: directory, WEIR_PLACEMENT_INTERVAL_MS: '100', ...options.environment },
  });
  const { bus } = service;
  const attributes = () => ({ id: systemIds.next(), source: 'spec', tenant: null, occurredAt: new Date().toISOString() });
  for (const id of ['acme', 'globex']) {
    const tenant: TenantState = { id, slug: id, displayName: id, status: 'active' };
    await bus.send(tenantChanged.topic, [toRecord(tenantChanged, tenant, attributes())]);
  }
  const announced = await projectionOf({ bus, logger, events: { deployments: deploymentChanged, placements: placementChanged } });
  await eventually(async () => (await service.request('/health/ready', { principal: null })).status === 200);

  const put: TestRegistry['put'] = (
    principal,
    content,
    digest = sha256(content),
    headers = { 'content-type': 'application/octet-stream' },
  ) => service.request(`/artifacts/sha256/${digest}`, { principal, method: 'PUT', headers, body: new Uint8Array(content) });

  return {
    service,
    announced,
    graphql: (principal, document, variables) => service.graphql(principal, document, variables),
    put,
    upload: async (principal, files) => {
      const uploaded: UploadedFile[] = [];
      for (const [path, bytes] of Object.entries(files)) {
        const content = Buffer.from(bytes);
        const answer = await put(principal, content);
        if (!answer.ok) throw new Error(`the upload was refused: ${await answer.text()}`);
        uploaded.push({ path, sha256: sha256(content), sizeBytes: content.length });
      }
      return uploaded;
    },
    publish: (principal, input) =>
      service.graphql(
        principal,
        `mutation ($input: PublishModelVersionInput!) { publishModelVersion(input: $input) { version { id digest } model { id name visibility aliases { alias version } } } }`,
        { input },
      ),
    hear: async (worker) => {
      const state: WorkerState = {
        url: 'http://127.0.0.1:1',
        startedAt: new Date().toISOString(),
        heartbeatAt: new Date().toISOString(),
        state: 'serving',
        memoryBytes: 1_000_000,
        versions: [],
        ...worker,
      };
      await bus.send(workerChanged.topic, [toRecord(workerChanged, state, attributes())]);
    },
    leave: (id) => bus.send(workerChanged.topic, [{ key: id, value: null }]),
    close: async () => {
      await announced.close();
      await service.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The worker's and the launcher's own principals. */
export const workerService = servicePrincipal('worker');
export const launcherService = servicePrincipal('weir');
