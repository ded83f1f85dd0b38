import { fork, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { descendants } from '../measure.ts';

const START_TIMEOUT_MS = 90_000;
const PYTHON = fileURLToPath(new URL('../../.weir/bench-peers/bin', import.meta.url));
const PEERS = fileURLToPath(new URL('./peers', import.meta.url));

/** Nobody who is measured spends time on telling the makers of ONNX Runtime about it: the worker does not either. */
const QUIET = { ORT_DISABLE_TELEMETRY: '1' };

/** A server that is not the worker. */
export interface OtherServer {
  readonly pid: number;
  readonly origin: string;
}

/** Files and processes of one benchmark, which end with it. */
export class Workshop {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'weir-bench-'));
  readonly #children: ChildProcess[] = [];

  /** Writes a network to a file. */
  file(name: string, content: Buffer): string {
    const target = path.join(this.directory, `${name}.onnx`);
    writeFileSync(target, content);
    return target;
  }

  /** A bare loop of ONNX Runtime over a network. */
  async rawLoop(networkFile: string): Promise<RawLoop> {
    const child = fork(fileURLToPath(new URL('./raw-loop.ts', import.meta.url)), [networkFile], { env: QUIET });
    this.#children.push(child);
    await message(child);
    return new RawLoop(child);
  }

  /** `node:http` and ONNX Runtime in one process. */
  async rawHttp(networkFile: string): Promise<OtherServer> {
    const child = fork(fileURLToPath(new URL('./raw-http.ts', import.meta.url)), [networkFile], { env: QUIET });
    this.#children.push(child);
    return { pid: child.pid ?? 0, origin: `http://127.0.0.1:${String(await message(child))}` };
  }

  /** mosec: `/json` and `/binary`, each with a process of its own behind the same front. */
  mosec(networkFile: string): Promise<OtherServer> {
    return this.#peer('python', ['mosec_server.py'], networkFile, (port) => ({
      MOSEC_ADDRESS: '127.0.0.1',
      MOSEC_PORT: String(port),
      MOSEC_LOG_LEVEL: 'error',
    }));
  }

  /** LitServe: `/predict`. */
  litserve(networkFile: string): Promise<OtherServer> {
    return this.#peer('python', ['litserve_server.py'], networkFile, (port) => ({ BENCH_PORT: String(port) }));
  }

  /** MLServer: `/v2/models/network/infer`, in one process, which costs least. */
  async mlserver(networkFile: string): Promise<OtherServer> {
    const directory = path.join(this.directory, `mlserver-${path.basename(networkFile)}`);
    mkdirSync(directory);
    const settings = { host: '127.0.0.1', grpc_port: await freePort(), metrics_port: await freePort(), parallel_workers: 0, debug: false };
    writeFileSync(path.join(directory, 'settings.json'), JSON.stringify(settings));
    writeFileSync(
      path.join(directory, 'model-settings.json'),
      JSON.stringify({ name: 'network', implementation: 'mlserver_runtime.Network', max_batch_size: 16, max_batch_time: 0.005 }),
    );
    return this.#peer('mlserver', ['start', directory], networkFile, (port) => ({ MLSERVER_HTTP_PORT: String(port), PYTHONPATH: PEERS }));
  }

  close(): void {
    for (const child of this.#children) {
      for (const pid of descendants(child.pid ?? 0)) endNow(pid);
    }
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #peer(
    program: string,
    args: readonly string[],
    networkFile: string,
    environment: (port: number) => Readonly<Record<string, string>>,
  ): Promise<OtherServer> {
    if (!existsSync(PYTHON)) throw new Error('The peers are not installed: run npm run bench:peers first.');
    const port = await freePort();
    const child = spawn(path.join(PYTHON, program), args, {
      cwd: PEERS,
      stdio: 'ignore',
      env: {
        ...QUIET,
        PATH: `${PYTHON}:${process.env['PATH']}`,
        BENCH_NETWORK: networkFile,
        PYTHONDONTWRITEBYTECODE: '1',
        ...environment(port),
      },
    });
    this.#children.push(child);
    const origin = `http://127.0.0.1:${port}`;
    const deadline = Date.now() + START_TIMEOUT_MS;
    while ((await fetch(origin).catch(() => undefined)) === undefined) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error(`${program} ${args.join(' ')} did not start`);
      await sleep(200);
    }
    return { pid: child.pid ?? 0, origin };
  }
}

/** Runs of ONNX Runtime in a process of their own. */
export class RawLoop {
  readonly #child: ChildProcess;

  constructor(child: ChildProcess) {
    this.#child = child;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Runs inputs of these shapes, one after the other. */
  async run(shapes: readonly (readonly number[])[]): Promise<void> {
    const done = message(this.#child);
    this.#child.send(shapes);
    await done;
  }
}

function message(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const gone = (code: number | null): void => reject(new Error(`${child.spawnargs.join(' ')} ended with ${code}`));
    child.once('exit', gone);
    child.once('message', (said) => {
      child.off('exit', gone);
      resolve(said);
    });
  });
}

function endNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
