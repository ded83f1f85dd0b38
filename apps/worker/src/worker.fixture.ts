import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { INTERNAL_TOKEN_HEADER, InternalTokenVerifier, servicePrincipal, type InternalKeySet, type Principal } from '@weir/access';
import { placementChanged, workerChanged, type PackageFile, type PlacementState, type WorkerState } from '@weir/contracts';
import { systemIds } from '@weir/kernel';
import { toRecord, type EventBus } from '@weir/platform/bus';
import { eventually, startTestService, type TestDatabase, type TestRequest, type TestServiceOptions } from '@weir/testing';
import { workerDefinition } from './worker.definition.ts';

const MODELS = fileURLToPath(new URL('../../../models/', import.meta.url));
/** Longest wait for what has to happen, on a machine that is busy with other things. */
const PATIENCE_MS = 60_000;

/** The starter models that a package is made of, without their training scripts. */
export async function starterPackage(name: string): Promise<Map<string, Buffer>> {
  const root = join(MODELS, name);
  const files = new Map<string, Buffer>();
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/\.(onnx|json)$/.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    files.set(relative(root, path), await readFile(path));
  }
  return files;
}

/** A file of a starter model, such as one of its example pictures. */
export function starterFile(name: string, path: string): Promise<Buffer> {
  return readFile(join(MODELS, name, path));
}

/** Stands where the registry's artifact store stands: gives files by digest to the worker alone. */
async function artifactServer(
  keys: InternalKeySet,
): Promise<{ url: string; put(content: Buffer): string; lie(sha256: string, content: Buffer): void; close(): Promise<void> }> {
  const contents = new Map<string, Buffer>();
  const verifier = new InternalTokenVerifier('registry', keys);
  const server = createServer((request, response) => {
    const header = request.headers[INTERNAL_TOKEN_HEADER];
    verifier.verify(typeof header === 'string' ? header : undefined).then(
      ({ caller }) => {
        const content = contents.get(request.url?.split('/').at(-1) ?? '');
        response.writeHead(caller !== 'worker' ? 403 : content === undefined ? 404 : 200).end(content);
      },
      () => response.writeHead(401).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/artifacts/sha256`,
    put: (content) => {
      const sha256 = createHash('sha256').update(content).digest('hex');
      contents.set(sha256, content);
      return sha256;
    },
    lie: (sha256, content) => void contents.set(sha256, content),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface InferenceAnswer {
  readonly status: number;
  readonly headers: Headers;
  // What the tests look into is what they assert about.
  readonly body: {
    error?: string;
    id?: string;
    parameters?: { usage?: unknown };
    outputs?: { name: string; shape: number[]; datatype: string; data: unknown[] }[];
  };
}

type AnnouncedVersion = WorkerState['versions'][number];

/** A worker in this process, on a real bus and a real ONNX Runtime, with an artifact store beside it. */
export interface TestWorker {
  readonly bus: EventBus;
  /** With the bus in it, for another worker beside or after this one. */
  readonly database: TestDatabase;
  readonly artifacts: { put(content: Buffer): string; lie(sha256: string, content: Buffer): void };
  /** Puts the files into the store and places them as a version of the model `modelId`. */
  place(
    modelId: string,
    task: PlacementState['task'],
    files: ReadonlyMap<string, Buffer>,
    over?: Partial<PlacementState>,
  ): Promise<PlacementState>;
  /** Where calls of a version go now. */
  urlOf(placement: PlacementState): string | undefined;
  publish(placement: PlacementState): Promise<void>;
  unplace(placement: PlacementState): Promise<void>;
  /** Waits until the worker announces the version in this state and `matches` returns true. */
  announced(
    versionId: string,
    state: AnnouncedVersion['state'],
    matches?: (version: AnnouncedVersion) => boolean,
  ): Promise<AnnouncedVersion>;
  worker(): WorkerState | undefined;
  infer(
    path: string,
    body: unknown,
    headers?: Readonly<Record<string, string>>,
    signal?: AbortSignal,
    principal?: Principal,
  ): Promise<InferenceAnswer>;
  /** Any request to the process that serves the model of the path. */
  request(path: string, init: TestRequest): Promise<Response>;
  /** Any request to the supervisor itself. */
  supervisor(path: string, init: TestRequest): Promise<Response>;
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Response>;
  /** An internal token for this worker, of the gateway for itself or somebody else. */
  token(principal?: Principal): Promise<string>;
  /** Is this content in the worker's cache? */
  cached(sha256: string): Promise<boolean>;
  stop(): Promise<void>;
  close(): Promise<void>;
}

let openWorkers = 0;

/** Serving processes whose supervisor this process is. */
function servingProcesses(): string[] {
  const children = spawnSync('ps', ['-A', '-o', 'ppid=,pid=,args='], { encoding: 'utf8' }).stdout.split('\n');
  return children.filter((line) => line.includes('serving/main') && Number.parseInt(line, 10) === process.pid).map((line) => line.trim());
}

export async function startTestWorker(
  environment: Readonly<Record<string, string>> = {},
  onLogLine: (line: string) => void = () => undefined,
  options: Pick<TestServiceOptions, 'clock' | 'database'> = {},
): Promise<TestWorker> {
  const cacheDirectory = await mkdtemp(join(tmpdir(), 'weir-worker-'));
  const id = 'worker-1';
  const service = await startTestService(workerDefinition, {
    environment: { WEIR_WORKER_CACHE_DIR: cacheDirectory, WEIR_WORKER_ID: id, ...environment },
    onLogLine,
    ...options,
  });
  openWorkers++;
  const { bus } = service;
  const { workers } = await service.project({ workers: workerChanged });
  const artifacts = await artifactServer(service.keySet);
  const gateway = servicePrincipal('gateway');
  let versions = 0;
  const placements: PlacementState[] = [];
  /** Where calls of a model go: to the process that serves its newest version. */
  const urlOf = (model: string): string => {
    const placement = placements.findLast(({ modelId }) => modelId === model);
    const served = workers.get(id)?.versions ?? [];
    return (
      (served.find(({ versionId }) => versionId === placement?.versionId) ?? served.find(({ url }) => url !== undefined))?.url ??
      service.url
    );
  };

  const publish = (placement: PlacementState): Promise<void> =>
    bus.send(placementChanged.topic, [
      toRecord(placementChanged, placement, {
        id: systemIds.next(),
        source: 'registry',
        tenant: 'platform',
        occurredAt: new Date().toISOString(),
      }),
    ]);

  return {
    bus,
    database: service.database,
    artifacts,
    urlOf: ({ versionId }) => workers.get(id)?.versions.find((version) => version.versionId === versionId)?.url,
    place: async (modelId, task, contents, over = {}) => {
      const files: PackageFile[] = [...contents].map(([path, content]) => ({
        path,
        sha256: artifacts.put(content),
        sizeBytes: content.length,
      }));
      const placement: PlacementState = {
        workerId: id,
        versionId: `version-${++versions}`,
        modelId,
        model: modelId,
        version: `1.0.${versions}`,
        ownerTenantId: 'platform',
        task,
        files,
        artifactsUrl: artifacts.url,
        ...over,
      };
      placements.push(placement);
      await publish(placement);
      return placement;
    },
    publish,
    unplace: (placement) => bus.send(placementChanged.topic, [{ key: placementChanged.key(placement), value: null }]),
    announced: (versionId, state, matches = () => true) =>
      eventually(
        () => workers.get(id)?.versions.find((version) => version.versionId === versionId && version.state === state && matches(version)),
        { timeoutMs: PATIENCE_MS },
      ),
    worker: () => workers.get(id),
    infer: async (path, body, headers = {}, signal = AbortSignal.timeout(PATIENCE_MS), principal = gateway) => {
      const [model = ''] = path.split('/');
      const response = await service.request(`${urlOf(model)}/v2/models/${path}/infer`, {
        principal,
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
        signal,
      });
      return { status: response.status, headers: response.headers, body: (await response.json()) as InferenceAnswer['body'] };
    },
    request: (path, init) => {
      const [, model = ''] = /\/models\/([^/]+)/.exec(path) ?? [];
      return service.request(`${urlOf(model)}${path}`, init);
    },
    supervisor: (path, init) => service.request(path, init),
    get: (path, headers) => {
      const [, model = ''] = /^\/v2\/models\/([^/]+)/.exec(path) ?? [];
      const url = path.startsWith('/v2') ? `${urlOf(model)}${path}` : path;
      return service.request(url, headers === undefined ? { principal: gateway } : { principal: null, headers });
    },
    token: (principal = gateway) => service.tokenFor(principal),
    cached: async (sha256) => (await readdir(join(cacheDirectory, 'blobs'))).includes(sha256),
    stop: () => service.stop(),
    close: async () => {
      await service.close();
      await artifacts.close();
      await rm(cacheDirectory, { recursive: true, force: true });
      openWorkers--;
      const left = openWorkers === 0 ? servingProcesses() : [];
      if (left.length > 0) throw new Error(`the worker is closed, and these serving processes are not: ${left.join('; ')}`);
    },
  };
}
