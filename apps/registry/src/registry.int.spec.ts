import { servicePrincipal } from '@weir/access';
import { eventually } from '@weir/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import pg from 'pg';
import {
  A_PACKAGE,
  aNetwork,
  acme,
  globex,
  launcherService,
  operator,
  reader,
  sha256,
  startTestRegistry,
  workerService,
  type TestRegistry,
} from './registry.fixture.ts';

let registry: TestRegistry;

beforeAll(async () => {
  registry = await startTestRegistry();
});

afterAll(async () => {
  await registry.close();
});

const codeOf = (answer: { errors?: readonly { extensions: { code: string; field?: string } }[] }) => answer.errors?.[0]?.extensions.code;
const fieldOf = (answer: { errors?: readonly { extensions: { code: string; field?: string } }[] }) => answer.errors?.[0]?.extensions.field;

describe('files of models', () => {
  it('are kept under their digest, however often they are put, and given to workers alone', async () => {
    const content = Buffer.from('a network');
    for (let time = 0; time < 2; time++)
      expect(await (await registry.put(acme, content)).json()).toEqual({ sha256: sha256(content), sizeBytes: content.length });
    const path = `/artifacts/sha256/${sha256(content)}`;
    const answer = await registry.service.request(path, { principal: workerService, caller: 'worker' });
    expect(Buffer.from(await answer.arrayBuffer())).toEqual(content);
    expect(answer.headers.get('content-length')).toBe(String(content.length));
    for (const principal of [acme, operator]) expect((await registry.service.request(path, { principal })).status).toBe(403);
    expect((await registry.service.request(path, { principal: null })).status).toBe(401);
  });

  it('with another digest than announced are not kept', async () => {
    const digest = sha256('something else');
    const answer = await registry.put(acme, Buffer.from('not that'), digest);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: { code: 'artifact.digest_mismatch' } });
    expect((await registry.service.request(`/artifacts/sha256/${digest}`, { principal: workerService, caller: 'worker' })).status).toBe(
      404,
    );
  });

  it('cannot replace those that are there', async () => {
    const content = Buffer.from('the first one');
    await registry.put(acme, content);
    expect((await registry.put(globex, Buffer.from('a false one'), sha256(content))).status).toBe(400);
    const kept = await registry.service.request(`/artifacts/sha256/${sha256(content)}`, { principal: workerService, caller: 'worker' });
    expect(await kept.text()).toBe('the first one');
  });

  it('are taken from those who may manage models, and from the launcher', async () => {
    const content = Buffer.from('from the launcher');
    expect((await registry.put(reader, content)).status).toBe(403);
    // The gateway does not speak for the launcher.
    expect((await registry.put(launcherService, content)).status).toBe(401);
    expect((await registry.put(servicePrincipal('gateway'), content)).status).toBe(403);
    const answer = await registry.service.request(`/artifacts/sha256/${sha256(content)}`, {
      principal: launcherService,
      caller: 'weir',
      method: 'PUT',
      headers: { 'content-type': 'application/octet-stream' },
      body: 'from the launcher',
    });
    expect(answer.status).toBe(200);
  });

  it.each([
    ['no digest', 'latest', { 'content-type': 'application/octet-stream' }, 400],
    ['a path', encodeURIComponent('../../etc/passwd'), { 'content-type': 'application/octet-stream' }, 400],
    ['upper case', 'A'.repeat(64), { 'content-type': 'application/octet-stream' }, 400],
    ['JSON', sha256('{}'), { 'content-type': 'application/json' }, 415],
  ])('under %s are refused', async (_, digest, headers, status) => {
    expect((await registry.put(acme, Buffer.from('{}'), digest, headers)).status).toBe(status);
  });
});

describe('publishing', () => {
  it('makes a model that others see and callers reach, described by its package', async () => {
    const files = await registry.upload(operator, {
      'onnx/model.onnx': aNetwork(),
      'preprocessor_config.json': '{}',
      'config.json': '{"id2label": {"0": "zero", "1": "one"}}',
      'examples/one.png': 'a picture',
      'weir.json': JSON.stringify({
        task: 'image-classification',
        displayName: 'Digits',
        description: 'Reads digits.',
        licence: 'CC-BY-4.0',
        tags: ['vision'],
        metrics: [{ name: 'accuracy', value: 0.984, dataset: 'MNIST', n: 1000 }],
        examples: [{ input: { imageFile: 'examples/one.png' }, expected: { label: 'one' } }],
      }),
    });
    const answer = await registry.publish(operator, { name: 'digits', version: '1.0.0', visibility: 'PUBLIC', files, alias: 'production' });
    expect(answer.errors).toBeUndefined();
    const seen = await registry.graphql(
      acme,
      `{ model(name: "digits") { name displayName description task licence visibility tags sizeBytes digest labels
      metrics { name value dataset items } examples { imageBase64 expectedLabel } aliases { alias version } versions { nodes { version digest licence } pageInfo { hasNextPage } } } }`,
    );
    const digest = answer.data?.publishModelVersion.version.digest;
    expect(seen.data?.model).toEqual({
      name: 'digits',
      displayName: 'Digits',
      description: 'Reads digits.',
      task: 'IMAGE_CLASSIFICATION',
      licence: 'CC-BY-4.0',
      visibility: 'PUBLIC',
      tags: ['vision'],
      sizeBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0),
      digest,
      labels: ['zero', 'one'],
      metrics: [{ name: 'accuracy', value: 0.984, dataset: 'MNIST', items: 1000 }],
      examples: [{ imageBase64: Buffer.from('a picture').toString('base64'), expectedLabel: 'one' }],
      aliases: [{ alias: 'production', version: '1.0.0' }],
      versions: { nodes: [{ version: '1.0.0', digest, licence: 'CC-BY-4.0' }], pageInfo: { hasNextPage: false } },
    });
    const deployment = await eventually(() => [...registry.announced.maps.deployments.values()].find((one) => one.model === 'digits'));
    expect(deployment).toMatchObject({
      alias: 'production',
      version: '1.0.0',
      ownerTenantId: 'platform',
      visibility: 'public',
      task: 'image-classification',
      modelId: answer.data?.publishModelVersion.model.id,
    });
  });

  it('keeps its examples for every kind of input as they can be sent, without what PostgreSQL cannot keep', async () => {
    const request = '{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [0.5]}]}';
    const examples = [
      { text: 'a\u0000b' },
      { imageFile: 'examples/one.png' },
      { audioFile: 'examples/one.wav' },
      { record: { 'a\u0000ge': 41, city: 'Ulm\u0000', member: true, since: null } },
      { user: 'ann' },
      { seed: 7 },
      { requestFile: 'examples/request.json' },
      { imageFile: 'examples/not-there.png' },
    ].map((input) => ({ input }));
    const files = await registry.upload(acme, {
      ...A_PACKAGE,
      'examples/one.png': 'a picture',
      'examples/one.wav': 'a sound',
      'examples/request.json': request,
      'weir.json': JSON.stringify({ task: 'tensors', examples }),
    });
    const published = await registry.publish(acme, { name: 'acme/examples', version: '1', visibility: 'PRIVATE', files });
    expect(published.errors).toBeUndefined();
    const fields = 'text imageBase64 audioBase64 record user seed requestJson expectedLabel';
    const seen = await registry.graphql<{ model: { examples: Record<string, unknown>[] } }>(
      acme,
      `{ model(name: "acme/examples") { examples { ${fields} } } }`,
    );
    const nothing = Object.fromEntries(fields.split(' ').map((field) => [field, null]));
    expect(seen.data?.model.examples).toEqual([
      { ...nothing, text: 'a\ufffdb' },
      { ...nothing, imageBase64: Buffer.from('a picture').toString('base64') },
      { ...nothing, audioBase64: Buffer.from('a sound').toString('base64') },
      { ...nothing, record: { 'a\ufffdge': 41, city: 'Ulm\ufffd', member: true, since: null } },
      { ...nothing, user: 'ann' },
      { ...nothing, seed: 7 },
      { ...nothing, requestJson: request },
      nothing,
    ]);
  });

  it('the same files under the same version changes nothing; other files are refused; a new version is added', async () => {
    const files = await registry.upload(operator, A_PACKAGE);
    const input = { name: 'steady', version: '1', visibility: 'PUBLIC', files, alias: 'production' };
    const first = await registry.publish(operator, input);
    expect(await registry.publish(operator, { ...input, files: [...files].reverse() })).toEqual(first);
    const others = await registry.upload(operator, { ...A_PACKAGE, 'model.onnx': aNetwork('others') });
    const refused = await registry.publish(operator, { ...input, files: others });
    expect([codeOf(refused), fieldOf(refused)]).toEqual(['model.version_exists', 'input.version']);
    expect((await registry.publish(operator, { ...input, version: '2', files: others, alias: null })).errors).toBeUndefined();
    const seen = await registry.graphql(
      operator,
      `{ model(name: "steady") { aliases { version } versions(first: 1) { nodes { version } pageInfo { hasNextPage endCursor } } } }`,
    );
    expect(seen.data?.model).toMatchObject({
      aliases: [{ version: '1' }],
      versions: { nodes: [{ version: '2' }], pageInfo: { hasNextPage: true } },
    });
    const cursor = (seen.data as { model: { versions: { pageInfo: { endCursor: string } } } }).model.versions.pageInfo.endCursor;
    const next = await registry.graphql(
      operator,
      `query ($after: String) { model(name: "steady") { versions(after: $after) { nodes { version } } } }`,
      { after: cursor },
    );
    expect(next.data?.model).toEqual({ versions: { nodes: [{ version: '1' }] } });
    const forged = Buffer.from('["0000-01-01T00:00:00.000Z","x"]').toString('base64url');
    const document = 'query ($after: String) { model(name: "steady") { versions(after: $after) { nodes { version } } } }';
    const wrong = await registry.graphql(operator, document, { after: forged });
    expect([codeOf(wrong), fieldOf(wrong)]).toEqual(['request.invalid', 'after']);
  });

  it('two at once makes one model with both versions', async () => {
    const files = await registry.upload(operator, A_PACKAGE);
    const answers = await Promise.all(
      ['1', '2', '2'].map((version) => registry.publish(operator, { name: 'race', version, visibility: 'PUBLIC', files })),
    );
    expect(answers.map((answer) => answer.errors)).toEqual([undefined, undefined, undefined]);
    const seen = await registry.graphql(operator, `{ model(name: "race") { versions { nodes { version } } } }`);
    expect(
      (seen.data as { model: { versions: { nodes: { version: string }[] } } }).model.versions.nodes.map((node) => node.version).sort(),
    ).toEqual(['1', '2']);
  });

  it('for a tenant of its own: under its short name, seen by nobody else', async () => {
    const files = await registry.upload(acme, A_PACKAGE);
    expect(
      (await registry.publish(acme, { name: 'acme/own', version: '1', visibility: 'PRIVATE', files, alias: 'production' })).errors,
    ).toBeUndefined();
    const query = `{ model(name: "acme/own") { name } models(first: 100) { nodes { name } } }`;
    expect((await registry.graphql(acme, query)).data?.model).toEqual({ name: 'acme/own' });
    expect((await registry.graphql(reader, query)).data?.model).toEqual({ name: 'acme/own' });
    for (const other of [globex, operator]) {
      const seen = await registry.graphql<{ model: unknown; models: { nodes: { name: string }[] } }>(other, query);
      expect(seen.data?.model).toBeNull();
      expect(seen.data?.models.nodes.map((node) => node.name)).not.toContain('acme/own');
    }
    for (const mutation of [
      'setModelAlias(input: { name: "acme/own", alias: "x", version: "1" })',
      'removeModelAlias(input: { name: "acme/own", alias: "production" })',
    ]) {
      for (const other of [globex, operator])
        expect(codeOf(await registry.graphql(other, `mutation { ${mutation} { model { name } } }`))).toBe('model.not_found');
    }
    const deployment = await eventually(() => [...registry.announced.maps.deployments.values()].find((one) => one.model === 'acme/own'));
    expect(deployment).toMatchObject({ visibility: 'private', ownerTenantId: 'acme' });
  });

  it.each([
    ['under a plain name', acme, { name: 'mine' }, 'access.forbidden', 'input.name'],
    ["under another tenant's short name", acme, { name: 'globex/mine' }, 'access.forbidden', 'input.name'],
    ['for everyone', acme, { name: 'acme/mine', visibility: 'PUBLIC' }, 'access.forbidden', 'input.visibility'],
    ['without the scope', reader, { name: 'acme/mine' }, 'access.forbidden', undefined],
    ["by the operator under a tenant's short name", operator, { name: 'acme/mine' }, 'access.forbidden', 'input.name'],
    ['with upper case in its name', acme, { name: 'acme/Mine' }, 'request.invalid', 'input.name'],
    ['under a version that is none', acme, { version: '1 0' }, 'request.invalid', 'input.version'],
    ['under an alias that is none', acme, { alias: 'Production!' }, 'request.invalid', 'input.alias'],
    ['with a zero in its description', acme, { description: 'a\0b' }, 'request.invalid', 'input.description'],
    ['with half a character in its name for people', acme, { displayName: 'a\ud800' }, 'request.invalid', 'input.displayName'],
    ['with a tag that is a sentence', acme, { tags: ['A tag'] }, 'request.invalid', 'input.tags[0]'],
    ['without files', acme, { files: [] }, 'request.invalid', 'input.files'],
    [
      'with a path that leads out',
      acme,
      { files: [{ path: '../x', sha256: 'a'.repeat(64), sizeBytes: 1 }] },
      'request.invalid',
      'input.files[0].path',
    ],
    [
      'with a size that is none',
      acme,
      { files: [{ path: 'x', sha256: 'a'.repeat(64), sizeBytes: -1 }] },
      'request.invalid',
      'input.files[0].sizeBytes',
    ],
    [
      'with a digest that is none',
      acme,
      { files: [{ path: 'x', sha256: 'zz', sizeBytes: 1 }] },
      'request.invalid',
      'input.files[0].sha256',
    ],
    [
      'with a file that was not uploaded',
      acme,
      { files: [{ path: 'model.onnx', sha256: 'a'.repeat(64), sizeBytes: 1 }] },
      'artifact.not_found',
      'input.files[0].sha256',
    ],
  ])('%s is refused, and the field is named', async (_, principal, over, code, field) => {
    const files = await registry.upload(acme, A_PACKAGE);
    const refused = await registry.publish(principal, { name: 'acme/bad', version: '1', visibility: 'PRIVATE', files, ...over });
    expect([codeOf(refused), fieldOf(refused)]).toEqual([code, field]);
  });

  it("another tenant's files by their digest alone is refused, as if they were not there", async () => {
    const [file] = await registry.upload(globex, { 'model.onnx': "globex's secret weights" });
    const refused = await registry.publish(acme, {
      name: 'acme/stolen',
      version: '1',
      visibility: 'PRIVATE',
      task: 'TENSORS',
      files: [file],
    });
    expect([codeOf(refused), fieldOf(refused)]).toEqual(['artifact.not_found', 'input.files[0].sha256']);
  });

  it.each([
    [
      'lacks what its task needs',
      { 'model.onnx': 'x', 'config.json': '{}' },
      { task: 'TEXT_CLASSIFICATION' },
      'input.files',
      'tokenizer.json',
    ],
    ['does not say its task', { 'model.onnx': 'x' }, {}, 'input.task', 'weir.json'],
    ['has settings that are no JSON', { 'model.onnx': 'x', 'weir.json': '{' }, {}, 'input.files[1]', 'weir.json is not JSON'],
    [
      'has settings that are wrong',
      { 'model.onnx': 'x', 'weir.json': '{"task": "tensors", "metrics": [{"name": "accuracy", "value": "high"}]}' },
      {},
      'input.files[1]',
      'weir.json is not valid at metrics.0.value',
    ],
    [
      'has an example record that holds another',
      { 'model.onnx': 'x', 'weir.json': '{"task": "tensors", "examples": [{"input": {"record": {"a": {"b": 1}}}}]}' },
      {},
      'input.files[1]',
      'examples.0.input.record',
    ],
    [
      'has an example request that is none',
      {
        'model.onnx': 'x',
        'r.json': '{"inputs": []}',
        'weir.json': '{"task": "tensors", "examples": [{"input": {"requestFile": "r.json"}}]}',
      },
      {},
      'input.files[1]',
      'r.json is not a request',
    ],
    [
      'lacks the features of its task',
      { 'model.onnx': 'x', 'weir.json': '{"task": "tabular-regression"}' },
      {},
      'input.files',
      'the section tabular',
    ],
    [
      'names a network that it has not',
      { 'model.onnx': 'x', 'weir.json': '{"task": "tensors", "model": "net.onnx"}' },
      {},
      'input.files',
      'net.onnx',
    ],
  ])('a package that %s is refused', async (_, contents, over, field, part) => {
    const files = await registry.upload(acme, contents);
    const refused = await registry.publish(acme, { name: 'acme/incomplete', version: '1', visibility: 'PRIVATE', files, ...over });
    expect([codeOf(refused), fieldOf(refused)]).toEqual(['request.invalid', field]);
    expect(refused.errors?.[0]?.message).toContain(part);
  });

  it('with the wrong size of a file is refused with the right one', async () => {
    const [file] = await registry.upload(acme, { 'model.onnx': 'weights' });
    const refused = await registry.publish(acme, {
      name: 'acme/size',
      version: '1',
      visibility: 'PRIVATE',
      task: 'TENSORS',
      files: [{ ...file, sizeBytes: 8 }],
    });
    expect(refused.errors?.[0]?.message).toBe('input.files[0].sizeBytes: the file has 7 bytes.');
  });

  it('a model for another task than before is refused', async () => {
    const files = await registry.upload(acme, { 'model.onnx': aNetwork(), 'config.json': '{}', 'preprocessor_config.json': '{}' });
    await registry.publish(acme, { name: 'acme/task', version: '1', visibility: 'PRIVATE', task: 'TENSORS', files });
    expect(
      fieldOf(
        await registry.publish(acme, { name: 'acme/task', version: '2', visibility: 'PRIVATE', task: 'IMAGE_CLASSIFICATION', files }),
      ),
    ).toBe('input.task');
  });

  it('is for ever: not even the database changes a published version', async () => {
    const client = new pg.Client({ connectionString: registry.service.database.urlOf('registry') });
    await client.connect();
    try {
      await client.query(`select set_config('app.tenant', '*', false)`);
      await expect(client.query(`update registry.model_versions set digest = 'x'`)).rejects.toThrow(
        'a published version cannot be changed',
      );
      await expect(client.query(`update registry.version_files set sha256 = sha256`)).rejects.toThrow(
        'a published version cannot be changed',
      );
      await client.query(`select set_config('app.tenant', '', false)`);
      for (const table of ['models', 'model_versions', 'version_files', 'model_aliases', 'artifact_holders', 'placements']) {
        expect((await client.query(`select from registry.${table}`)).rowCount, table).toBe(0);
      }
      await client.query(`select set_config('app.tenant', 'globex', false)`);
      expect((await client.query(`select from registry.version_files where tenant_id <> 'globex'`)).rowCount).toBe(0);
      expect((await client.query(`update registry.models set display_name = 'mine' where name = 'digits'`)).rowCount).toBe(0);
    } finally {
      await client.end();
    }
  });
});

describe('aliases', () => {
  beforeAll(async () => {
    for (const version of ['1', '2']) {
      const files = await registry.upload(operator, { ...A_PACKAGE, 'model.onnx': aNetwork(version) });
      await registry.publish(operator, {
        name: 'moving',
        version,
        visibility: 'PUBLIC',
        files,
        alias: version === '1' ? 'production' : null,
      });
    }
  });

  const deployed = (alias: string) =>
    [...registry.announced.maps.deployments.values()].find((one) => one.model === 'moving' && one.alias === alias)?.version;
  const set = (principal: typeof operator, input: Record<string, string>) =>
    registry.graphql(
      principal,
      'mutation ($input: SetModelAliasInput!) { setModelAlias(input: $input) { model { aliases { alias version } } } }',
      { input },
    );
  const remove = (principal: typeof operator, input: Record<string, string>) =>
    registry.graphql(
      principal,
      'mutation ($input: RemoveModelAliasInput!) { removeModelAlias(input: $input) { model { aliases { alias } } } }',
      { input },
    );

  it('are moved to another version, and everyone is told', async () => {
    expect((await set(operator, { name: 'moving', alias: 'production', version: '2' })).data).toEqual({
      setModelAlias: { model: { aliases: [{ alias: 'production', version: '2' }] } },
    });
    await eventually(() => deployed('production') === '2');
  });

  it('are taken away, and everyone is told', async () => {
    await set(operator, { name: 'moving', alias: 'beta', version: '1' });
    await eventually(() => deployed('beta') === '1');
    expect((await remove(operator, { name: 'moving', alias: 'beta' })).errors).toBeUndefined();
    await eventually(() => deployed('beta') === undefined);
    expect(codeOf(await remove(operator, { name: 'moving', alias: 'beta' }))).toBe('model.not_found');
  });

  it('of another tenant stay as they are', async () => {
    for (const other of [acme, globex]) {
      expect(codeOf(await set(other, { name: 'moving', alias: 'production', version: '1' }))).toBe('access.forbidden');
      expect(codeOf(await remove(other, { name: 'moving', alias: 'production' }))).toBe('access.forbidden');
    }
    expect(codeOf(await set(reader, { name: 'moving', alias: 'production', version: '1' }))).toBe('access.forbidden');
    expect(deployed('production')).toBe('2');
  });

  it('point only at versions that there are', async () => {
    const refused = await set(operator, { name: 'moving', alias: 'production', version: '9' });
    expect([codeOf(refused), fieldOf(refused)]).toEqual(['model.not_found', 'input.version']);
    expect(codeOf(await set(operator, { name: 'nothing', alias: 'production', version: '1' }))).toBe('model.not_found');
  });
});

describe('the list of models', () => {
  it('is read page by page, filtered by words, task and tags', async () => {
    const files = await registry.upload(globex, A_PACKAGE);
    for (const name of ['a', 'b', 'c'])
      await registry.publish(globex, {
        name: `globex/list-${name}`,
        version: '1',
        visibility: 'PRIVATE',
        displayName: `100% of ${name}`,
        tags: ['listed', `of-${name}`],
        files,
      });
    const list = (variables: Record<string, unknown>) =>
      registry.graphql<{ models: { nodes: { name: string }[]; pageInfo: { hasNextPage: boolean; endCursor: string } } }>(
        globex,
        'query ($first: Int, $after: String, $search: String, $task: ModelTask, $tags: [String!]) { models(first: $first, after: $after, search: $search, task: $task, tags: $tags) { nodes { name } pageInfo { hasNextPage endCursor } } }',
        variables,
      );
    const names = async (variables: Record<string, unknown>) => (await list(variables)).data?.models.nodes.map((node) => node.name);
    const first = await list({ search: 'LIST-', first: 2 });
    expect(first.data?.models.nodes.map((node) => node.name)).toEqual(['globex/list-a', 'globex/list-b']);
    expect(first.data?.models.pageInfo.hasNextPage).toBe(true);
    expect(await names({ search: 'list-', first: 2, after: first.data?.models.pageInfo.endCursor })).toEqual(['globex/list-c']);
    expect(await names({ search: '100% of b' })).toEqual(['globex/list-b']);
    expect(await names({ search: '100_ of b' })).toEqual([]);
    expect(await names({ search: 'Listed', task: 'TENSORS' })).toHaveLength(3);
    expect(await names({ search: 'listed', task: 'IMAGE_CLASSIFICATION' })).toEqual([]);
    expect(await names({ tags: ['listed'] })).toHaveLength(3);
    expect(await names({ tags: ['listed', 'of-b'] })).toEqual(['globex/list-b']);
    expect(await names({ tags: ['listed', 'of-z'] })).toEqual([]);
    expect(await names({ tags: ['of-a', 'of-b'] })).toEqual([]);
  });

  it.each([
    ['first: 0', 'first'],
    ['first: 101', 'first'],
    ['after: "not a cursor"', 'after'],
    [`after: "${Buffer.from(JSON.stringify(['a\0'])).toString('base64url')}"`, 'after'],
    [`search: "a\\u0000"`, 'search'],
    ['tags: ["ok", "a tag"]', 'tags[1]'],
  ])('refuses %s', async (args, field) => {
    const refused = await registry.graphql(acme, `{ models(${args}) { nodes { name } } }`);
    expect([codeOf(refused), fieldOf(refused)]).toEqual(['request.invalid', field]);
  });

  it('needs the scope to read models', async () => {
    const nobody = { ...reader, scopes: new Set(['infer'] as const) };
    expect(codeOf(await registry.graphql(nobody, '{ models { nodes { name } } }'))).toBe('access.forbidden');
    expect(codeOf(await registry.graphql(nobody, '{ model(name: "digits") { name } }'))).toBe('access.forbidden');
    expect((await registry.graphql(acme, '{ model(name: "no such \\u0000 name") { name } }')).data).toEqual({ model: null });
  });
});
