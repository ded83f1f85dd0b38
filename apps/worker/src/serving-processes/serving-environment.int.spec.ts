import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createLogger } from '@weir/platform/telemetry';
import { linearNetwork, onnxModel, type OnnxNode, type OnnxTensor } from '@weir/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FromServing } from '../serving/control-messages.ts';
import { servingSettings } from './serving-child.fixture.ts';
import { ServingChild } from './serving-child.ts';

const MEBIBYTE = 2 ** 20;
const WIDTH = 1_024;
const LAYERS = 32;
const WEIGHTS_BYTES = LAYERS * WIDTH * WIDTH * 4;
/** A thread's own code and stack, beside the weights. */
const THREAD_BYTES = 24 * MEBIBYTE;
const MODEL = 'model-1';
const SECRETS = {
  WEIR_BUS_URL: 'postgres://weir:bus-password@127.0.0.1/weir',
  WEIR_SIGNING_KEY_FILE: '/etc/weir/keys/worker.json',
  AWS_SECRET_ACCESS_KEY: 'aws-secret',
  NODE_OPTIONS: '--no-deprecation',
};
/** All that may be in the environment of a process that runs foreign models; PWD and the like are the shell's. */
const ALLOWED = [
  'ORT_DISABLE_TELEMETRY',
  'MALLOC_MMAP_THRESHOLD_',
  'NODE_V8_COVERAGE',
  'NODE_CHANNEL_FD',
  'NODE_CHANNEL_SERIALIZATION_MODE',
  'LD_LIBRARY_PATH',
  'TMPDIR',
  'TZ',
  'CUDA_VISIBLE_DEVICES',
  'VK_DRIVER_FILES',
  'VK_ICD_FILENAMES',
  'PWD',
  'OLDPWD',
  'SHLVL',
  '_',
];

let directory: string;
let child: ServingChild;
let heard: (message: FromServing) => void;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'weir-serving-'));
  heard = () => undefined;
  child = new ServingChild({
    settings: await servingSettings(path.join(directory, 'flight')),
    memoryLimitBytes: 4_096 * MEBIBYTE,
    account: null,
    environment: { ...process.env, ...SECRETS },
    logger: createLogger({ service: 'worker', instanceId: 'worker-1', level: 'fatal' }),
    onMessage: (message) => heard(message),
    onExit: () => undefined,
  });
  await child.listening();
});
afterEach(async () => {
  child.kill('the test is over');
  await rm(directory, { recursive: true, force: true });
});

/** Matrices that are all different, so that nothing can be shared or left out, in the network's own file. */
function largeNetwork(): Buffer {
  const nodes: OnnxNode[] = [];
  const initialisers: OnnxTensor[] = [];
  for (let layer = 0; layer < LAYERS; layer++) {
    const values = Float32Array.from({ length: WIDTH * WIDTH }, (_, index) => ((index * 31 + layer) % 97) / 97 / WIDTH);
    initialisers.push({ name: `w${layer}`, dims: [WIDTH, WIDTH], data: new Uint8Array(values.buffer) });
    const [input, output] = [layer === 0 ? 'x' : `h${layer}`, layer === LAYERS - 1 ? 'y' : `h${layer + 1}`];
    nodes.push({ operator: 'MatMul', inputs: [input, `w${layer}`], outputs: [output] });
  }
  return onnxModel({
    inputs: [{ name: 'x', dims: ['batch', WIDTH] }],
    outputs: [{ name: 'y', dims: ['batch', WIDTH] }],
    nodes,
    initialisers,
  });
}

async function place(versionId: string, files: Readonly<Record<string, Buffer | string>>): Promise<void> {
  const folder = path.join(directory, versionId);
  await mkdir(folder);
  for (const [name, content] of Object.entries(files)) await writeFile(path.join(folder, name), content);
  const listed = Object.entries(files).map(([name, content]) => ({ path: name, sha256: '0'.repeat(64), sizeBytes: content.length }));
  child.send({
    kind: 'place',
    version: {
      versionId,
      modelId: versionId,
      model: versionId,
      version: '1',
      ownerTenantId: 'platform',
      task: 'tensors',
      files: listed,
      directory: folder,
    },
  });
}

function done(kind: 'loaded' | 'unloaded', versionId: string): Promise<void> {
  return new Promise((resolve, reject) => {
    heard = (message) => {
      if (message.kind === 'not-loaded') reject(new Error(message.message));
      if (message.kind === kind && message.versionId === versionId) resolve();
    };
  });
}

async function load(versionId: string): Promise<void> {
  const loaded = done('loaded', versionId);
  child.send({ kind: 'load', versionId });
  await loaded;
}

async function unload(versionId: string): Promise<void> {
  const unloaded = done('unloaded', versionId);
  child.send({ kind: 'unload', versionId });
  await unloaded;
}

/** Memory that the serving process shares with nobody. */
async function privateBytes(): Promise<number> {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]) * 1_024;
}

/** The files and sockets that the serving process has open. */
async function openFiles(): Promise<string[]> {
  const folder = `/proc/${child.pid}/fd`;
  return Promise.all((await readdir(folder)).map((file) => readlink(path.join(folder, file)).catch(() => 'closed meanwhile')));
}

// Linux alone tells the memory of a process, and which files it has open, in /proc.
if (process.platform === 'linux')
  describe('the memory of a serving process', () => {
    it('holds weights that are in a network’s own file once for each thread, and no copy of the file', async () => {
      const network = largeNetwork();
      await place('one-thread', { 'model.onnx': network });
      await place('two-threads', { 'model.onnx': network, 'weir.json': JSON.stringify({ runtime: { instances: 2 } }) });
      const empty = await privateBytes();
      await load('one-thread');
      const one = await privateBytes();
      expect(one - empty).toBeLessThan(WEIGHTS_BYTES * 1.1 + THREAD_BYTES);
      await load('two-threads');
      expect((await privateBytes()) - one).toBeLessThan(2 * (WEIGHTS_BYTES * 1.1 + THREAD_BYTES));
    }, 120_000);

    it('does not grow with loads and unloads', async () => {
      await place(MODEL, { 'model.onnx': largeNetwork() });
      const cycles = async (count: number): Promise<number> => {
        for (let cycle = 0; cycle < count; cycle++) {
          await load(MODEL);
          await unload(MODEL);
        }
        return privateBytes();
      };
      const first = await cycles(5);
      expect(await cycles(15)).toBeLessThan(first + WEIGHTS_BYTES / 4);
    }, 240_000);
  });

if (process.platform === 'linux')
  describe('a serving process', () => {
    it('has an environment of an allow-list, and no secret of its supervisor', async () => {
      const variables = (await readFile(`/proc/${child.pid}/environ`, 'utf8')).split('\0').filter((line) => line !== '');
      const names = variables.map((line) => line.slice(0, line.indexOf('=')));
      expect(names).toContain('ORT_DISABLE_TELEMETRY');
      expect(names.filter((name) => !ALLOWED.includes(name))).toEqual([]);
      for (const secret of Object.values(SECRETS)) expect(variables.join('\n')).not.toContain(secret);
    });

    it('tells the makers of ONNX Runtime nothing about the models that it loads', async () => {
      await place(MODEL, { 'model.onnx': linearNetwork({ inputs: 2, outputs: 1 }) });
      await load(MODEL);
      expect((await openFiles()).filter((file) => /onnxruntime\.db|mat-debug/.test(file))).toEqual([]);
    });
  });
