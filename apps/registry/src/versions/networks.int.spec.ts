import { readFileSync } from 'node:fs';
import { AppError } from '@weir/kernel';
import { hostilePackages, linearNetwork, onnxModel } from '@weir/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArtifactStore } from '../artifacts/artifact-store.ts';
import { aNetwork, acme, globex, operator, reader, startTestRegistry, type TestRegistry } from '../registry.fixture.ts';
import { NetworkReader } from './network-reader.ts';

const DIGITS = readFileSync(new URL('../../../../models/digits/onnx/model.onnx', import.meta.url));
const DOCUMENT = new URL('../../../../docs/model-packages.md', import.meta.url);
const SIGNATURE = 'signature { inputs { name datatype shape axisNames } outputs { name datatype shape axisNames } }';
const FIELDS = `${SIGNATURE} parameterCount formats networks { role format opset parameterCount weightBytes ${SIGNATURE} }`;
const TENSORS = { 'weir.json': '{"task": "tensors"}' };

let registry: TestRegistry;

beforeAll(async () => {
  registry = await startTestRegistry();
});
afterAll(() => registry.close());

async function publish(principal: typeof acme, name: string, files: Readonly<Record<string, string | Buffer>>) {
  const uploaded = await registry.upload(principal, files);
  const visibility = principal === operator ? 'PUBLIC' : 'PRIVATE';
  return registry.publish(principal, { name, version: '1', visibility, files: uploaded, alias: 'production' });
}

interface SeenVersion {
  readonly signature: unknown;
  readonly parameterCount: number | null;
  readonly formats: readonly string[];
  readonly networks: readonly { readonly weightBytes: number }[];
}

interface SeenModel extends SeenVersion {
  readonly versions: { readonly nodes: readonly SeenVersion[] };
}

async function seen(principal: typeof acme, name: string): Promise<SeenModel | null> {
  const query = `query ($name: String!) { model(name: $name) { ${FIELDS} versions { nodes { ${FIELDS} } } } }`;
  const answer = await registry.graphql<{ model: SeenModel | null }>(principal, query, { name });
  expect(answer.errors).toBeUndefined();
  return answer.data?.model ?? null;
}

describe('a published version tells', () => {
  it('what it takes and gives, its parameters and format, to everyone who sees the model', async () => {
    expect((await publish(operator, 'numbers', { ...TENSORS, 'model.onnx': DIGITS })).errors).toBeUndefined();
    const signature = {
      inputs: [{ name: 'pixel_values', datatype: 'FP32', shape: [-1, 1, 28, 28], axisNames: ['batch', null, null, null] }],
      outputs: [{ name: 'logits', datatype: 'FP32', shape: [-1, 10], axisNames: ['batch', null] }],
    };
    for (const principal of [operator, acme, globex, reader]) {
      const model = await seen(principal, 'numbers');
      expect(model).toMatchObject({
        signature,
        formats: ['onnx'],
        networks: [{ role: 'model', format: 'onnx', opset: 17, signature }],
      });
      expect(model?.parameterCount).toBe((model?.networks[0]?.weightBytes ?? 0) / 4);
      expect(model?.parameterCount).toBeGreaterThan(600_000);
      expect(model).toMatchObject(model?.versions.nodes[0] ?? {});
    }
  });

  it('what docs/model-packages.md asks for', async () => {
    const [, query = ''] = /```graphql\n([^`]*)```/.exec(readFileSync(DOCUMENT, 'utf8')) ?? [];
    const weir = JSON.stringify({ task: 'tensors', licence: 'CC-BY-SA-3.0' });
    expect((await publish(operator, 'digits', { 'weir.json': weir, 'model.onnx': DIGITS })).errors).toBeUndefined();
    const answer = await registry.graphql(acme, query);
    expect(answer.errors).toBeUndefined();
    expect(answer.data?.['model']).toMatchObject({
      licence: 'CC-BY-SA-3.0',
      formats: ['onnx'],
      signature: { inputs: [{ axisNames: ['batch', null, null, null] }] },
    });
  });

  it('nothing to another tenant whose model it is not', async () => {
    expect((await publish(acme, 'acme/own', { ...TENSORS, 'model.onnx': aNetwork() })).errors).toBeUndefined();
    expect(await seen(acme, 'acme/own')).toMatchObject({ signature: { inputs: [{ name: 'x' }] } });
    for (const other of [globex, operator]) expect(await seen(other, 'acme/own')).toBeNull();
  });

  it('names, types and shapes as the file has them, however strange', async () => {
    const network = onnxModel({
      inputs: [
        { name: '__proto__', type: 'string', dims: ['batch', null] },
        { name: '"x"/:0', type: 'int64' },
      ],
      outputs: [
        { name: 'y', type: 'string', dims: [] },
        { name: 'z', type: 'bfloat16', dims: [2] },
      ],
      nodes: [
        { operator: 'Identity', inputs: ['__proto__'], outputs: ['y'] },
        { operator: 'Cast', inputs: ['"x"/:0'], outputs: ['z'], attributes: { to: { int: 16 } } },
      ],
    });
    expect((await publish(acme, 'acme/strange', { ...TENSORS, 'model.onnx': network })).errors).toBeUndefined();
    expect((await seen(acme, 'acme/strange'))?.signature).toEqual({
      inputs: [
        { name: '__proto__', datatype: 'BYTES', shape: [-1, -1], axisNames: ['batch', null] },
        { name: '"x"/:0', datatype: 'INT64', shape: null, axisNames: null },
      ],
      outputs: [
        { name: 'y', datatype: 'BYTES', shape: [], axisNames: [] },
        { name: 'z', datatype: null, shape: [2], axisNames: [null] },
      ],
    });
  });

  it('each of its networks where several do the task, and their parameters together', async () => {
    const reading = { detector: 'det.onnx', recogniser: 'rec.onnx', characters: 'characters.txt' };
    const answer = await publish(acme, 'acme/reading', {
      'weir.json': JSON.stringify({ task: 'image-to-text', reading }),
      'det.onnx': linearNetwork({ inputs: 2, outputs: 3 }),
      'rec.onnx': linearNetwork({ inputs: 5, outputs: 7 }),
      'characters.txt': 'a\nb\n',
    });
    expect(answer.errors).toBeUndefined();
    expect(await seen(acme, 'acme/reading')).toMatchObject({
      signature: null,
      parameterCount: 41,
      formats: ['onnx'],
      networks: [
        { role: 'detector', parameterCount: 6, weightBytes: 24, signature: { inputs: [{ shape: [-1, 2] }] } },
        { role: 'recogniser', parameterCount: 35, weightBytes: 140, signature: { outputs: [{ shape: [-1, 7] }] } },
      ],
    });
  });

  it('that it does not know, when it was published before networks were read', async () => {
    expect((await publish(acme, 'acme/old', { ...TENSORS, 'model.onnx': aNetwork('old') })).errors).toBeUndefined();
    const client = new pg.Client({ connectionString: registry.service.database.urlOf('registry') });
    await client.connect();
    try {
      await client.query(`select set_config('app.tenant', '*', false)`);
      await client.query('alter table registry.model_versions disable trigger "immutable"');
      await client.query(`update registry.model_versions set networks = default from registry.models
        where models.id = model_id and name = 'acme/old'`);
      await client.query('alter table registry.model_versions enable trigger "immutable"');
    } finally {
      await client.end();
    }
    expect(await seen(acme, 'acme/old')).toMatchObject({ signature: null, parameterCount: null, formats: [], networks: [] });
  });
});

describe('a hostile package', () => {
  it.each(hostilePackages().filter(({ expect: expected }) => expected === 'refused-at-publish'))(
    'is refused when it is published, and the file is named: $what',
    async ({ name, files }) => {
      const refused = await publish(acme, `acme/${name}`, Object.fromEntries(files));
      const [error] = refused.errors ?? [];
      expect(error?.extensions).toMatchObject({ code: 'model.package_invalid', field: 'input.files[0]' });
      expect(error?.message).toMatch(/^input\.files\[0\]: model\.onnx of the package .*\.$/s);
      expect(await seen(acme, `acme/${name}`)).toBeNull();
    },
  );

  it.each(hostilePackages().filter(({ expect: expected }) => expected === 'served'))(
    'that only looks hostile is taken: $what',
    async ({ name, files }) => {
      expect((await publish(acme, `acme/${name}`, Object.fromEntries(files))).errors).toBeUndefined();
    },
  );
});

it('packages wait for each other to be read, sixty-four at most', async () => {
  const store = new ArtifactStore({ directory: '/nowhere', maxBytes: 1 });
  const networks = new NetworkReader(store);
  const missing = { path: 'model.onnx', sha256: 'a'.repeat(64), sizeBytes: 1 };
  const outcomes = await Promise.allSettled(Array.from({ length: 70 }, () => networks.read('tensors', [missing], {})));
  const codes = outcomes.map((outcome) =>
    outcome.status === 'rejected' && outcome.reason instanceof AppError ? outcome.reason.code : 'read',
  );
  expect(codes.filter((code) => code === 'service.unavailable')).toHaveLength(6);
  expect(codes.filter((code) => code === 'artifact.not_found')).toHaveLength(64);
  // What failed holds nobody up.
  await expect(networks.read('tensors', [missing], {})).rejects.toMatchObject({ code: 'artifact.not_found' });
});
