import type { InternalTokenVerifier } from '@weir/access';
import type { PlacementState, RemoteBackEnd } from '@weir/contracts';
import { AppError, assertNever } from '@weir/kernel';
import type { Logger } from '@weir/platform/telemetry';
import type { AddressInfo } from 'node:net';
import { NOT_FOUND } from '../open-inference/guard.ts';
import { openInferenceEdge, type Edge, type EdgeVersions } from '../open-inference/edge.ts';
import type { ServedState } from '../serving-processes/serving-fleet.ts';
import type { TaskLimits } from '../serving/tasks/task.ts';
import type { ServingMetrics } from '../statistics/serving-metrics.ts';
import { VersionStatistics } from '../statistics/version-statistics.ts';
import { OpenAiServer } from './openai-server.ts';
import { OpenInferenceServer } from './open-inference-server.ts';
import type { RemoteServer } from './remote-server.ts';
import { RemoteVersion } from './remote-version.ts';
import type { SecretFolder } from './secret-folder.ts';
import { Upstream } from './upstream.ts';

export interface RemoteVersionsOptions {
  readonly host: string;
  readonly urlOf: (port: number) => string;
  readonly bodyLimitBytes: number;
  readonly defaultTimeoutMs: number;
  /** Longest wait for another server's answer, whatever the caller says. */
  readonly runLimitMs: number;
  readonly maxElements: number;
  readonly taskLimits: TaskLimits;
  readonly concurrency: number;
  readonly queueLength: number;
  readonly queueWaitMs: number;
  readonly healthIntervalMs: number;
  /** Servers may be at addresses of this machine, its link or a metadata service. */
  readonly allowLocalServers: boolean;
  readonly secrets: SecretFolder;
  readonly metrics: ServingMetrics;
  readonly verifier: InternalTokenVerifier;
  readonly logger: Logger;
}

/** The versions that other servers run, behind an edge of this worker: no code of theirs runs here, so no process is needed for it. */
export class RemoteVersions implements EdgeVersions {
  readonly #options: RemoteVersionsOptions;
  readonly #versions = new Map<string, RemoteVersion>();
  /** Versions that are removed and still have calls under way, until those have ended. */
  readonly #leaving = new Map<RemoteVersion, Promise<void>>();
  readonly #edge: Edge;
  #url: Promise<string> | null = null;
  #listeningAt: string | null = null;
  #onChange: () => void = () => undefined;

  constructor(options: RemoteVersionsOptions) {
    const { bodyLimitBytes, defaultTimeoutMs, runLimitMs, verifier, logger } = options;
    this.#options = options;
    this.#edge = openInferenceEdge({ bodyLimitBytes, defaultTimeoutMs, longestTimeoutMs: runLimitMs, versions: this, verifier, logger });
  }

  /** Called whenever `stateOf` may answer otherwise. */
  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  /** Takes calls for a version as soon as its server is ready, and looks after that from now on. */
  async place(placement: PlacementState, backend: RemoteBackEnd): Promise<void> {
    const { metrics, logger, secrets, concurrency, queueLength, queueWaitMs, healthIntervalMs } = this.#options;
    this.#url ??= this.#listen();
    this.#listeningAt = await this.#url;
    const version = new RemoteVersion({
      placement: { ...placement, backend },
      server: this.#serverOf(placement, backend),
      secrets,
      statistics: new VersionStatistics(metrics, placement),
      concurrency,
      queueLength,
      queueWaitMs,
      healthIntervalMs,
      logger,
      onChange: () => this.#onChange(),
    });
    this.#versions.set(placement.versionId, version);
    version.start();
  }

  /** Applies a changed placement: another visibility of its model. */
  update(placement: PlacementState): void {
    this.#versions.get(placement.versionId)?.update(placement);
  }

  /** Takes no more calls for a version; those under way are answered. */
  remove(versionId: string): void {
    const version = this.#versions.get(versionId);
    if (version === undefined) return;
    this.#versions.delete(versionId);
    this.#leaving.set(
      version,
      version.close().finally(() => this.#leaving.delete(version)),
    );
  }

  /** Where a version stands; undefined for one that is not here. */
  stateOf(versionId: string): ServedState | undefined {
    const version = this.#versions.get(versionId);
    if (version === undefined) return undefined;
    if (version.state.state !== 'ready') return version.state;
    return this.#listeningAt === null ? { state: 'loading' } : { state: 'ready', url: this.#listeningAt };
  }

  get(modelId: string, version?: string): RemoteVersion {
    const found = this.all().findLast((one) => one.modelId === modelId && (version === undefined || one.version === version));
    if (found === undefined) throw new AppError('model.not_found', { message: NOT_FOUND });
    return found;
  }

  all(): RemoteVersion[] {
    return [...this.#versions.values()];
  }

  /** Answers what is under way, for so long; then ends it. */
  async close(drainMs: number): Promise<void> {
    const timer = setTimeout(() => {
      for (const version of [...this.all(), ...this.#leaving.keys()]) void version.destroy();
    }, drainMs);
    try {
      await this.#edge.close();
      await Promise.all([...this.all().map((version) => version.close()), ...this.#leaving.values()]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #listen(): Promise<string> {
    await this.#edge.app.listen({ host: this.#options.host, port: 0 });
    return this.#options.urlOf((this.#edge.app.server.address() as AddressInfo).port);
  }

  #serverOf({ task, model, version }: PlacementState, backend: RemoteBackEnd): RemoteServer {
    const { concurrency, runLimitMs, maxElements, taskLimits, allowLocalServers, metrics, logger } = this.#options;
    const upstream = new Upstream({ url: backend.url, connections: concurrency, timeoutMs: runLimitMs, allowLocal: allowLocalServers });
    switch (backend.kind) {
      case 'open-inference':
        return new OpenInferenceServer({ upstream, backend, task, version, maxElements });
      case 'openai':
        return new OpenAiServer({
          upstream,
          backend,
          task,
          version,
          maxElements,
          limits: taskLimits,
          onExcessiveClaim: (claim) => {
            metrics.boundedClaim(model, version);
            logger.warn({ model, version, ...claim }, 'the server that runs a version claims more tokens than the texts can explain');
          },
        });
      default:
        return assertNever(backend);
    }
  }
}
