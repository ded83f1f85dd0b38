import { INTERNAL_TOKEN_HEADER } from '@weir/access';
import { eventually } from '@weir/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { aNetwork, acme, globex, operator, reader, sha256, startTestRegistry, type TestRegistry } from '../registry.fixture.ts';

const MIB = 1_048_576;
const GB = 1_000_000_000;

let registry: TestRegistry;

beforeAll(async () => {
  registry = await startTestRegistry({
    environment: {
      WEIR_TENANT_ARTIFACT_BYTES: String(MIB),
      WEIR_TENANT_VERSIONS: '3',
      WEIR_TENANT_MEMORY_BYTES: String(GB),
    },
  });
});

afterAll(async () => {
  await registry.close();
});

type Principal = Parameters<TestRegistry['graphql']>[0];
interface Use {
  readonly used: number;
  readonly allowed: number | null;
}
interface ModelQuotas {
  readonly artifactBytes: Use;
  readonly versions: Use;
  readonly memoryBytes: Use;
}

const QUOTAS = `query ($tenantId: ID) { modelQuotas(tenantId: $tenantId) {
  artifactBytes { used allowed } versions { used allowed } memoryBytes { used allowed } } }`;
const SET = `mutation ($input: SetModelQuotasInput!) { setModelQuotas(input: $input) { quotas {
  artifactBytes { allowed } versions { allowed } memoryBytes { allowed } } } }`;

async function quotasOf(principal: Principal, tenantId?: string): Promise<ModelQuotas | undefined> {
  return (await registry.graphql<{ modelQuotas: ModelQuotas }>(principal, QUOTAS, { tenantId })).data?.modelQuotas;
}
const errorOf = (answer: { errors?: readonly { message: string; extensions: { code: string; field?: string } }[] }) => {
  const [error] = answer.errors ?? [];
  return error === undefined ? null : { code: error.extensions.code, field: error.extensions.field, message: error.message };
};
const weir = (runtime?: Record<string, unknown>) => JSON.stringify({ task: 'tensors', displayName: 'A model', runtime });

async function publishAs(principal: Principal, name: string, runtime?: Record<string, unknown>, version = '1') {
  const files = await registry.upload(principal, { 'model.onnx': aNetwork(), 'weir.json': weir(runtime) });
  return registry.publish(principal, {
    name,
    version,
    visibility: principal === operator ? 'PUBLIC' : 'PRIVATE',
    files,
    alias: 'production',
  });
}
const placedModels = () => [...registry.announced.maps.placements.values()].map(({ model }) => model).sort();

describe('the quota of a tenant for bytes of files', () => {
  it('refuses an upload while its bytes arrive, with the quota, what is used and what is allowed; nothing of it is kept', async () => {
    await registry.put(acme, Buffer.alloc(1_000, 'first'));
    const pieces = function* (): Generator<Uint8Array> {
      for (let piece = 0; piece < 1_000; piece++) yield new Uint8Array(65_536);
    };
    const source = pieces();
    // It never ends by itself: an answer before its end is one while it arrives.
    const endless = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        const { value, done } = source.next();
        if (done === true) await new Promise(() => undefined);
        else controller.enqueue(value);
      },
    });
    const answer = await fetch(`${registry.service.url}/artifacts/sha256/${sha256('endless')}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/octet-stream', [INTERNAL_TOKEN_HEADER]: await registry.service.tokenFor(acme) },
      body: endless,
      duplex: 'half',
    } as RequestInit);
    expect(answer.status).toBe(403);
    const { error } = (await answer.json()) as { error: { code: string; message: string } };
    expect(error.code).toBe('quota.exceeded');
    expect(error.message).toMatch(
      /^The tenant may have 1048576 bytes of files \(quota artifactBytes\): 4096 are used, and \d+ more are needed\.$/,
    );
    expect((await quotasOf(acme))?.artifactBytes).toEqual({ used: 4_096, allowed: MIB });
  });

  it('is not exceeded by several uploads at once', async () => {
    const contents = Array.from({ length: 6 }, (_, index) => Buffer.alloc(300_000, `part ${index}`));
    const answers = await Promise.all(contents.map((content) => registry.put(acme, content)));
    expect(answers.filter(({ status }) => status === 200).length).toBe(3);
    expect((await quotasOf(acme))?.artifactBytes.used).toBe(4_096 + 900_000);
    // What it has is not counted again.
    const kept = contents[answers.findIndex(({ status }) => status === 200)] ?? Buffer.alloc(0);
    expect((await registry.put(acme, kept)).status).toBe(200);
    expect((await quotasOf(acme))?.artifactBytes.used).toBe(4_096 + 900_000);
  });

  it('is no concern of another tenant, nor of the platform', async () => {
    expect((await registry.put(globex, Buffer.alloc(500_000, 'theirs'))).status).toBe(200);
    expect((await registry.put(operator, Buffer.alloc(3 * MIB, 'ours'))).status).toBe(200);
    expect((await quotasOf(operator))?.artifactBytes).toEqual({ used: 3 * MIB, allowed: null });
  });
});

describe('the quota of a tenant for versions', () => {
  it('refuses one more, with the quota, what is used and what is allowed; the same version again is none', async () => {
    for (const version of ['1', '2', '3']) expect(errorOf(await publishAs(globex, 'globex/many', undefined, version))).toBeNull();
    expect(errorOf(await publishAs(globex, 'globex/one-more'))).toEqual({
      code: 'quota.exceeded',
      field: undefined,
      message: 'The tenant may have 3 versions (quota versions): 3 are used, and 1 more are needed.',
    });
    expect(errorOf(await publishAs(globex, 'globex/many', undefined, '3'))).toBeNull();
    expect((await quotasOf(globex))?.versions).toEqual({ used: 3, allowed: 3 });
    for (const version of ['1', '2', '3', '4']) expect(errorOf(await publishAs(operator, 'public-many', undefined, version))).toBeNull();
  });
});

describe('the quotas of a tenant', () => {
  it('are set by operators alone, one by one, and restored', async () => {
    const set = (principal: Principal, input: Record<string, unknown>) => registry.graphql(principal, SET, { input });
    for (const principal of [acme, globex, reader])
      expect(errorOf(await set(principal, { tenantId: 'globex', versions: 100 }))?.code).toBe('access.forbidden');
    expect((await set(operator, { tenantId: 'globex', versions: 4 })).data).toEqual({
      setModelQuotas: { quotas: { artifactBytes: { allowed: MIB }, versions: { allowed: 4 }, memoryBytes: { allowed: GB } } },
    });
    expect(errorOf(await publishAs(globex, 'globex/one-more'))).toBeNull();
    expect((await set(operator, { tenantId: 'globex', artifactBytes: 5 * MIB })).data).toEqual({
      setModelQuotas: { quotas: { artifactBytes: { allowed: 5 * MIB }, versions: { allowed: 4 }, memoryBytes: { allowed: GB } } },
    });
    expect((await registry.put(globex, Buffer.alloc(2 * MIB, 'more'))).status).toBe(200);
    await set(operator, { tenantId: 'globex', artifactBytes: null, versions: null });
    expect(await quotasOf(globex)).toMatchObject({ artifactBytes: { allowed: MIB }, versions: { used: 4, allowed: 3 } });
    expect(errorOf(await set(operator, { tenantId: 'nowhere', versions: 1 }))).toMatchObject({
      code: 'tenant.not_found',
      field: 'input.tenantId',
    });
    expect(errorOf(await set(operator, { tenantId: 'globex', versions: -1 }))).toMatchObject({
      code: 'request.invalid',
      field: 'input.versions',
    });
  });

  it('are read by the tenant itself and by operators, and not by another tenant', async () => {
    expect((await quotasOf(reader))?.versions.allowed).toBe(3);
    expect(await quotasOf(operator, 'acme')).toEqual(await quotasOf(acme));
    expect(errorOf(await registry.graphql(acme, QUOTAS, { tenantId: 'globex' }))?.code).toBe('access.forbidden');
    expect(errorOf(await registry.graphql(operator, QUOTAS, { tenantId: 'nowhere' }))).toMatchObject({
      code: 'tenant.not_found',
      field: 'tenantId',
    });
  });

  it('are sealed in the database: a tenant reads its own, and changes none', async () => {
    await registry.graphql(operator, SET, { input: { tenantId: 'globex', memoryBytes: GB } });
    const client = new pg.Client({ connectionString: registry.service.database.urlOf('registry'), options: '-c search_path=registry' });
    await client.connect();
    try {
      const rowsFor = async (tenant: string) => {
        await client.query(`select set_config('app.tenant', $1, false)`, [tenant]);
        return (await client.query('select from tenant_quotas')).rowCount;
      };
      expect([await rowsFor('acme'), await rowsFor(''), await rowsFor('globex')]).toEqual([0, 0, 1]);
      expect((await client.query('update tenant_quotas set versions = 1000')).rowCount).toBe(0);
      await expect(client.query(`insert into tenant_quotas values ('acme', null, 1000, null, now())`)).rejects.toThrow(
        'row-level security',
      );
    } finally {
      await client.end();
    }
  });
});

describe('memory that a package asks for without need', () => {
  it('beyond the quota of its tenant is refused when it is published', async () => {
    const refused = errorOf(await publishAs(acme, 'acme/greedy', { memoryBytes: 2 * GB }));
    expect(refused).toMatchObject({
      code: 'quota.exceeded',
      message: 'The tenant may have 1000000000 bytes of memory (quota memoryBytes): 0 are used, and 2000000000 more are needed.',
    });
  });

  it('does not keep a public model from being placed, and is not reserved any more when a worker has measured the model', async () => {
    const published = await publishAs(acme, 'acme/hoarder', { memoryBytes: 0.9 * GB });
    const versionId = published.data?.publishModelVersion.version.id ?? '';
    const worker = { id: 'worker-1', memoryBytes: GB };
    await registry.hear(worker);
    await eventually(() => placedModels().includes('acme/hoarder'));
    expect((await quotasOf(acme))?.memoryBytes).toEqual({ used: 0.9 * GB, allowed: GB });

    // There is no room beside it: it makes room.
    expect(errorOf(await publishAs(operator, 'needed', { memoryBytes: 0.5 * GB }))).toBeNull();
    await eventually(() => placedModels().includes('needed') && !placedModels().includes('acme/hoarder'));
    const { data } = await registry.graphql<{ model: { placementProblem: string } }>(
      acme,
      '{ model(name: "acme/hoarder") { placementProblem } }',
    );
    expect(data?.model.placementProblem).toContain('It needs 900000000 bytes of memory');

    // Measured once, it is taken at what it needs, and there is room for both.
    await registry.hear({ ...worker, versions: [{ versionId, state: 'ready', memoryBytes: 1_000_000 }] });
    await eventually(() => placedModels().includes('acme/hoarder') && placedModels().includes('needed'));
    expect((await quotasOf(acme))?.memoryBytes.used).toBe(2_000_000);

    // What was measured is remembered when its worker says nothing of it any more.
    await registry.hear({ ...worker, versions: [] });
    await registry.graphql(operator, SET, { input: { tenantId: 'acme', memoryBytes: 3_000_000 } });
    await registry.graphql(acme, 'mutation { removeModelAlias(input: { name: "acme/hoarder", alias: "production" }) { model { name } } }');
    await eventually(() => !placedModels().includes('acme/hoarder'));
    await registry.graphql(
      acme,
      'mutation { setModelAlias(input: { name: "acme/hoarder", alias: "production", version: "1" }) { model { name } } }',
    );
    await eventually(() => placedModels().includes('acme/hoarder'));
  });

  it('beyond the quota is not reserved: the owner is told which quota, what is used and what is allowed', async () => {
    await registry.graphql(operator, SET, { input: { tenantId: 'acme', memoryBytes: 3_000_000 } });
    expect(errorOf(await publishAs(acme, 'acme/second', { memoryBytes: 1_500_000 }))).toBeNull();
    await eventually(async () => {
      const { data } = await registry.graphql<{ model: { placementProblem: string | null } }>(
        acme,
        '{ model(name: "acme/second") { placementProblem } }',
      );
      expect(data?.model.placementProblem).toBe(
        'The tenant may have 3000000 bytes of memory reserved (quota memoryBytes): 2000000 are, and it needs 1500000 more.',
      );
      return true;
    });
  });
});
