import { aPrincipal, eventually } from '@weir/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { A_PACKAGE, acme, globex, operator, reader, startTestRegistry, type TestRegistry } from '../registry.fixture.ts';

let registry: TestRegistry;

beforeAll(async () => {
  registry = await startTestRegistry();
});

afterAll(async () => {
  await registry.close();
});

const TRITON = { kind: 'OPEN_INFERENCE', url: 'http://triton.example:8000', model: 'resnet', version: '3', secretName: 'triton' };
const VLLM = { kind: 'OPENAI', url: 'https://vllm.example/v1', model: 'intfloat/e5-small' };

const publish = (principal: Parameters<TestRegistry['graphql']>[0], input: Record<string, unknown>) =>
  registry.graphql<{ publishRemoteModelVersion: { version: { id: string; digest: string } } }>(
    principal,
    `mutation ($input: PublishRemoteModelVersionInput!) { publishRemoteModelVersion(input: $input) {
      version { id digest sizeBytes backend labels server { url model version secretName } } model { name visibility backend } } }`,
    { input: { version: '1', visibility: 'PUBLIC', ...input } },
  );
const codeOf = (answer: { errors?: readonly { extensions: { code: string; field?: string } }[] }) => [
  answer.errors?.[0]?.extensions.code,
  answer.errors?.[0]?.extensions.field,
];

describe('a model that another server runs', () => {
  it('is published by an operator, and placed on a worker that takes its back end, with its address and the name of its secret', async () => {
    const input = { name: 'resnet', task: 'TENSORS', backend: TRITON, labels: ['cat', 'dog'], alias: 'production' };
    const answer = await publish(operator, input);
    expect(answer.errors).toBeUndefined();
    expect(answer.data?.publishRemoteModelVersion).toMatchObject({
      model: { name: 'resnet', visibility: 'PUBLIC', backend: 'OPEN_INFERENCE' },
      version: {
        sizeBytes: 0,
        backend: 'OPEN_INFERENCE',
        labels: ['cat', 'dog'],
        server: { url: TRITON.url, model: 'resnet', version: '3', secretName: 'triton' },
      },
    });
    await registry.hear({ id: 'plain' });
    await registry.hear({ id: 'forwarding', backends: ['onnxruntime', 'open-inference'] });
    const placement = await eventually(() => [...registry.announced.maps.placements.values()].find((one) => one.model === 'resnet'));
    expect(placement).toMatchObject({
      workerId: 'forwarding',
      task: 'tensors',
      files: [],
      backend: { kind: 'open-inference', url: TRITON.url, model: 'resnet', version: '3', secret: 'triton' },
    });
    const deployment = [...registry.announced.maps.deployments.values()].find((one) => one.model === 'resnet');
    expect(deployment).toMatchObject({ alias: 'production', task: 'tensors', visibility: 'public' });
    expect(JSON.stringify(deployment)).not.toContain('triton');
  });

  it('is shown to tenants by its back end alone: neither address nor names on the other server are theirs to see', async () => {
    await publish(operator, { name: 'shown', task: 'FEATURE_EXTRACTION', backend: VLLM, alias: 'production' });
    const query = `{ model(name: "shown") { backend sizeBytes placementProblem versions { nodes { backend server { url } placementProblem } } } }`;
    const own = await registry.graphql<{ model: { versions: { nodes: unknown[] } } }>(operator, query);
    expect(own.data?.model.versions.nodes).toMatchObject([{ backend: 'OPENAI', server: { url: VLLM.url } }]);
    // Neither a tenant's owner, nor one who runs nothing in the operator's own tenant.
    for (const principal of [acme, reader, aPrincipal({ id: 'person-9', tenantId: 'platform' })]) {
      const seen = await registry.graphql(principal, query);
      expect(seen.data?.model).toMatchObject({
        backend: 'OPENAI',
        sizeBytes: 0,
        versions: { nodes: [{ backend: 'OPENAI', server: null }] },
      });
    }
    const seen = await registry.graphql(acme, query);
    expect(seen.data?.model).toMatchObject({ placementProblem: null, versions: { nodes: [{ placementProblem: null }] } });
  });

  it('published again the same changes nothing; with another server under the same version it is refused', async () => {
    const input = { name: 'steady', task: 'TENSORS', backend: TRITON };
    const first = await publish(operator, input);
    expect(first.errors).toBeUndefined();
    expect(await publish(operator, input)).toEqual(first);
    for (const change of [{ url: 'http://other.example' }, { model: 'other' }, { version: null }, { secretName: 'other' }])
      expect(codeOf(await publish(operator, { ...input, backend: { ...TRITON, ...change } }))).toEqual([
        'model.version_exists',
        'input.version',
      ]);
  });

  it.each([
    ["a tenant's owner", acme, { name: 'acme/mine', visibility: 'PRIVATE' }, 'access.forbidden'],
    ['another tenant under its own name', globex, { name: 'globex/mine', visibility: 'PRIVATE' }, 'access.forbidden'],
    ['an API key', reader, { name: 'acme/mine', visibility: 'PRIVATE' }, 'access.forbidden'],
    ['one of the operator’s tenant who is no operator', aPrincipal({ id: 'person-9', tenantId: 'platform' }), {}, 'access.forbidden'],
    ["an operator under a tenant's short name", operator, { name: 'acme/mine' }, 'access.forbidden'],
  ])('%s may not publish one', async (_, principal, over, code) => {
    const refused = await publish(principal, { name: 'mine', task: 'TENSORS', backend: TRITON, ...over });
    expect(codeOf(refused)[0]).toBe(code);
    expect((await registry.graphql(operator, '{ model(name: "mine") { name } }')).data?.model).toBeNull();
  });

  it.each([
    ['a file', { url: 'file:///etc/passwd' }, 'input.backend.url'],
    ['no address', { url: 'triton' }, 'input.backend.url'],
    ['another protocol', { url: 'gopher://host:70/' }, 'input.backend.url'],
    ['credentials in its address', { url: 'https://user:secret@host/' }, 'input.backend.url'],
    ['a user name in its address', { url: 'https://user@host/' }, 'input.backend.url'],
    ['a query', { url: 'https://host/?key=secret' }, 'input.backend.url'],
    ['a fragment', { url: 'https://host/#x' }, 'input.backend.url'],
    ['no model', { model: '' }, 'input.backend.model'],
    ['a line break in its model', { model: 'a\nb' }, 'input.backend.model'],
    ['a secret that is a path', { secretName: '../key' }, 'input.backend.secretName'],
    ['a kind that workers run themselves', { kind: 'ONNXRUNTIME' }, 'input.backend.kind'],
    ['a version where its kind has none', { kind: 'OPENAI', version: '1' }, 'input.backend.version'],
  ])('with %s is refused, the field is named and nothing of the value is said', async (_, over, field) => {
    const refused = await publish(operator, { name: 'bad', task: 'FEATURE_EXTRACTION', backend: { ...TRITON, ...over } });
    expect(codeOf(refused)).toEqual(['request.invalid', field]);
    expect(JSON.stringify(refused)).not.toContain('secret@');
  });

  it.each([
    ['this machine', 'http://127.0.0.1:8000'],
    ['this machine in another spelling', 'http://0x7f.1/v1'],
    ['this machine by name', 'http://localhost:8000'],
    ['this machine by IPv6', 'http://[::ffff:127.0.0.1]:8000'],
    ['every interface', 'http://0.0.0.0:8000'],
    ["a cloud's metadata service", 'http://169.254.169.254/latest'],
  ])('at the address of %s is refused, because workers would call the platform itself', async (_, url) => {
    const refused = await publish(operator, { name: 'inside', task: 'TENSORS', backend: { ...TRITON, url } });
    expect(codeOf(refused)).toEqual(['request.invalid', 'input.backend.url']);
  });

  it('in a private network is published: operators have their servers there', async () => {
    const answer = await publish(operator, { name: 'near', task: 'TENSORS', backend: { ...TRITON, url: 'http://10.255.255.254:8000' } });
    expect(answer.errors).toBeUndefined();
  });

  it('for a task that its server cannot do is refused', async () => {
    const refused = await publish(operator, { name: 'chat', task: 'TEXT_CLASSIFICATION', backend: VLLM });
    expect(codeOf(refused)).toEqual(['request.invalid', 'input.task']);
  });

  it('keeps its server from other tenants in the database itself, where nothing changes it either', async () => {
    await publish(operator, { name: 'sealed', task: 'TENSORS', backend: TRITON });
    const client = new pg.Client({ connectionString: registry.service.database.urlOf('registry') });
    await client.connect();
    try {
      for (const tenant of ['acme', 'globex', '']) {
        await client.query(`select set_config('app.tenant', $1, false)`, [tenant]);
        expect((await client.query('select from registry.version_servers')).rowCount, tenant).toBe(0);
      }
      await client.query(`select set_config('app.tenant', '*', false)`);
      expect((await client.query('select from registry.version_servers')).rowCount).toBeGreaterThan(0);
      await expect(client.query(`update registry.version_servers set url = 'http://elsewhere'`)).rejects.toThrow('cannot be changed');
    } finally {
      await client.end();
    }
  });
});

describe('a version that no worker takes', () => {
  const problem = (name: string) => `{ model(name: "${name}") { placementProblem versions { nodes { placementProblem } } } }`;
  const read = async (principal: typeof acme, name: string) =>
    (await registry.graphql<{ model: { placementProblem: string | null } | null }>(principal, problem(name))).data?.model?.placementProblem;

  it('tells its owner and operators why, and nobody else; when a worker can take it, it is placed and nothing is said', async () => {
    const weir = { task: 'tensors', runtime: { accelerator: 'cuda', memoryBytes: 900_000 } };
    for (const [principal, name, visibility] of [
      [acme, 'acme/fast', 'PRIVATE'],
      [operator, 'fast', 'PUBLIC'],
    ] as const) {
      const files = await registry.upload(principal, { ...A_PACKAGE, 'weir.json': JSON.stringify(weir) });
      const answer = await registry.publish(principal, { name, version: '1', visibility, files, alias: 'production' });
      expect(answer.errors).toBeUndefined();
    }
    await registry.hear({ id: 'without' });
    const asks = 'It asks for the accelerator cuda, which no running worker offers.';
    await eventually(async () => (await read(acme, 'acme/fast')) === asks && (await read(operator, 'fast')) === asks);
    // Everybody sees the public one, but not how the platform's workers stand.
    for (const other of [acme, globex, reader]) expect(await read(other, 'fast')).toBeNull();
    expect(await read(globex, 'acme/fast')).toBeUndefined();

    await registry.hear({ id: 'with', devices: [{ kind: 'cuda', name: 'NVIDIA L4', memoryBytes: 1_000_000 }, { kind: 'cpu' }] });
    const needs = 'It needs 900000 bytes of memory, which are not free on any running worker that could take it.';
    await eventually(async () => {
      const seen = [await read(acme, 'acme/fast'), await read(operator, 'fast')];
      return seen.includes(null) && seen.includes(needs);
    });
    const placed = [...registry.announced.maps.placements.values()].filter(({ model }) => model.endsWith('fast'));
    expect(placed.map(({ workerId }) => workerId)).toEqual(['with']);
  });

  it('tells what the worker that has it says, until it is ready there', async () => {
    const published = await publish(operator, { name: 'away', task: 'TENSORS', backend: TRITON, alias: 'production' });
    const versionId = published.data?.publishRemoteModelVersion.version.id ?? '';
    const worker = { id: 'forwarding', backends: ['onnxruntime', 'open-inference'] };
    await registry.hear(worker);
    await eventually(() => [...registry.announced.maps.placements.values()].some(({ model }) => model === 'away'));
    const error = 'The server that runs the model does not answer.';
    await registry.hear({ ...worker, versions: [{ versionId, state: 'loading', error }] });
    await eventually(async () => (await read(operator, 'away')) === error);
    expect(await read(acme, 'away')).toBeNull();
    await registry.hear({ ...worker, versions: [{ versionId, state: 'ready' }] });
    await eventually(async () => (await read(operator, 'away')) === null);
  });
});
