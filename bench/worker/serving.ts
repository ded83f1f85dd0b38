import { fork, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { INTERNAL_TOKEN_HEADER, InternalTokenSigner, servicePrincipal } from '@weir/access';
import { anOperator, aPrincipal, testSigningKeys } from '@weir/testing';
import { servingEnvironment } from '../../apps/worker/src/serving-processes/serving-environment.ts';
import type { FromServing, ServingSettings, ToServing } from '../../apps/worker/src/serving/control-messages.ts';

const ENTRY = fileURLToPath(new URL('../../apps/worker/dist/serving/main.js', import.meta.url));
/** Loads of the largest network, on a busy machine. */
const PATIENCE_MS = 120_000;

type Answer<K extends FromServing['kind']> = Extract<FromServing, { kind: K }>;

/** A serving process of the worker as its supervisor starts it, with this process in the supervisor's place. */
export class Serving {
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #signer: InternalTokenSigner;
  readonly #errors: string[] = [];
  #requests = 0;
  #port = 0;

  private constructor(child: ChildProcess, directory: string, signer: InternalTokenSigner) {
    this.#child = child;
    this.#directory = directory;
    this.#signer = signer;
    child.setMaxListeners(0);
    child.on('message', (message: FromServing) => {
      if (message.kind === 'broken' || message.kind === 'not-loaded') this.#errors.push(JSON.stringify(message));
    });
  }

  static async start(settings: Partial<ServingSettings> = {}, execArgv: readonly string[] = []): Promise<Serving> {
    const directory = mkdtempSync(path.join(tmpdir(), 'weir-bench-worker-'));
    const keys = await testSigningKeys();
    const child = fork(ENTRY, [], {
      env: servingEnvironment({}),
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: ['--disable-warning=ExperimentalWarning', ...execArgv],
    });
    const serving = new Serving(child, directory, new InternalTokenSigner(keys.keyOf('gateway')));
    const listening = serving.#heard('listening', () => true);
    serving.#tell({
      kind: 'configure',
      settings: {
        instanceId: 'bench',
        host: '127.0.0.1',
        logLevel: 'warn',
        keySet: { keys: keys.keySet.keys.map((key) => ({ ...key })) },
        flightFile: path.join(directory, 'flight'),
        executionProviders: ['cpu'],
        slots: 1,
        intraOpThreads: 1,
        queueLength: 1_024,
        queueWaitMs: 1_000,
        batchMs: 50,
        maxBatchRows: 16,
        runLimitMs: 60_000,
        defaultTimeoutMs: 30_000,
        bodyLimitBytes: 16 * 2 ** 20,
        maxElements: 4_000_000,
        maxItems: 64,
        maxTextCharacters: 50_000,
        maxImagePixels: 16_777_216,
        maxAudioSeconds: 600,
        maxSequences: 1_000,
        sequenceBytes: 2 ** 20,
        sequenceIdleMs: 60_000,
        ...settings,
      },
    });
    serving.#port = (await listening).port;
    return serving;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Writes the files of a package and places it under its name. */
  place(model: string, files: Readonly<Record<string, Buffer | string>>, task: 'tensors' | 'text-classification' = 'tensors'): void {
    const directory = path.join(this.#directory, model);
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(directory, name)), { recursive: true });
      writeFileSync(path.join(directory, name), content);
    }
    this.#tell({
      kind: 'place',
      version: {
        versionId: model,
        modelId: model,
        model,
        version: '1',
        ownerTenantId: 'platform',
        task,
        directory,
        // Digests are the supervisor's to check: the serving process is given files that are already.
        files: Object.keys(files).map((name) => ({
          path: name,
          sha256: '0'.repeat(64),
          sizeBytes: statSync(path.join(directory, name)).size,
        })),
      },
    });
  }

  /** Brings a placed model into memory; answers with the bytes that it says to have taken. */
  async load(model: string): Promise<number> {
    const loaded = this.#heard('loaded', ({ versionId }) => versionId === model);
    this.#tell({ kind: 'load', versionId: model });
    return (await loaded).memoryBytes;
  }

  async unload(model: string): Promise<void> {
    const unloaded = this.#heard('unloaded', ({ versionId }) => versionId === model);
    this.#tell({ kind: 'unload', versionId: model });
    await unloaded;
  }

  /** Headers of a call as the gateway makes it, for a tenant or for itself. The token lives for a minute. */
  async headers(tenantId?: string): Promise<Record<string, string>> {
    const principal = tenantId === undefined ? servicePrincipal('gateway') : aPrincipal({ tenantId });
    return { [INTERNAL_TOKEN_HEADER]: await this.#signer.sign(principal, 'worker') };
  }

  /** How many runs of each number of rows there have been since the model was placed. */
  async runsByRows(model: string): Promise<ReadonlyMap<number, number>> {
    const answer = await fetch(`${this.origin}/v2/models/${model}/stats`, {
      headers: { [INTERNAL_TOKEN_HEADER]: await this.#signer.sign(anOperator(), 'worker') },
    });
    const { model_stats } = (await answer.json()) as {
      model_stats: { batch_stats: { batch_size: number; compute_infer: { count: number } }[] }[];
    };
    return new Map(model_stats[0]?.batch_stats.map((batch) => [batch.batch_size, batch.compute_infer.count]));
  }

  /** What the process measures of itself, by the name of the metric; the values of all its series. */
  async metrics(): Promise<ReadonlyMap<string, readonly Metric[]>> {
    const request = ++this.#requests;
    const answer = this.#heard('metrics', (message) => message.request === request);
    this.#tell({ kind: 'report-metrics', request });
    const metrics = (await answer).metrics as { name: string; values: Metric[] }[];
    return new Map(metrics.map(({ name, values }) => [name, values]));
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = new Promise((resolve) => this.#child.once('exit', resolve));
      this.#tell({ kind: 'drain', timeoutMs: 5_000 });
      await ended;
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #tell(message: ToServing): void {
    this.#child.send(message);
  }

  #heard<K extends FromServing['kind']>(kind: K, isIt: (message: Answer<K>) => boolean): Promise<Answer<K>> {
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        clearTimeout(timer);
        this.#child.off('message', hear);
        this.#child.off('exit', gone);
      };
      const fail = (why: string): void => {
        stop();
        reject(new Error(`the serving process ${why}${this.#errors.length === 0 ? '' : `: ${this.#errors.join('; ')}`}`));
      };
      const gone = (code: number | null, signal: string | null): void => fail(`ended with ${code ?? signal}`);
      const hear = (message: FromServing): void => {
        if (message.kind === 'not-loaded' && kind === 'loaded') fail('did not load a model');
        if (message.kind !== kind || !isIt(message as Answer<K>)) return;
        stop();
        resolve(message as Answer<K>);
      };
      const timer = setTimeout(() => fail(`did not say ${kind}`), PATIENCE_MS);
      this.#child.on('message', hear);
      this.#child.on('exit', gone);
    });
  }
}

export interface Metric {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number>>;
  /** Of a histogram: its own name with `_bucket`, `_sum` or `_count`. */
  readonly metricName?: string;
}
