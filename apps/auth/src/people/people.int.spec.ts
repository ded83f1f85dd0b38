import { sessionRevoked } from '@weir/contracts';
import { encodeCursor } from '@weir/platform/graphql';
import { anOperator, aPrincipal, eventually, type TestService } from '@weir/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { anonymous, aPerson, aTenant, launcher, PASSWORD, signIn, startAuth } from '../auth.fixture.ts';

let auth: TestService;
const operator = anOperator();
const logLines: string[] = [];
const MAX_PEOPLE = 4;

beforeAll(async () => {
  auth = await startAuth({ onLogLine: (line) => logLines.push(line), environment: { WEIR_TENANT_MAX_PEOPLE: String(MAX_PEOPLE) } });
});

afterAll(async () => {
  await auth.close();
});

const ADD = 'mutation ($input: AddPersonInput!) { addPerson(input: $input) { person { id email name role } } }';
const REMOVE = 'mutation ($id: ID!) { removePerson(input: { id: $id }) { id } }';
const PEOPLE = '{ people { nodes { email role } } }';

describe('me', () => {
  it('is the person who asks, and nobody when a key asks', async () => {
    const { owner, ownerEmail } = await aTenant(auth, operator);
    expect((await auth.graphql(owner, '{ me { email role } }')).data).toEqual({ me: { email: ownerEmail, role: 'OWNER' } });
    expect((await auth.graphql(aPrincipal({ ...owner, kind: 'api-key', scopes: ['infer'] }), '{ me { email } }')).data).toEqual({
      me: null,
    });
  });

  it("is nobody when the id belongs to another tenant's person", async () => {
    const [one, other] = [await aTenant(auth, operator), await aTenant(auth, operator)];
    const mixed = aPrincipal({ id: one.owner.id, tenantId: other.tenantId });
    expect((await auth.graphql(mixed, '{ me { email } }')).data).toEqual({ me: null });
  });
});

describe('people', () => {
  it("are those of the caller's tenant, and no other's", async () => {
    const [one, other] = [await aTenant(auth, operator), await aTenant(auth, operator)];
    await aPerson(auth, one.owner, 'm@one.example');
    expect((await auth.graphql(one.owner, PEOPLE)).data).toEqual({
      people: {
        nodes: [
          { email: one.ownerEmail, role: 'OWNER' },
          { email: 'm@one.example', role: 'MEMBER' },
        ],
      },
    });
    expect((await auth.graphql(other.owner, PEOPLE)).data).toEqual({ people: { nodes: [{ email: other.ownerEmail, role: 'OWNER' }] } });
  });

  it('need the scope people.read, and a page of 1 to 100', async () => {
    const { owner } = await aTenant(auth, operator);
    expect((await auth.graphql(aPrincipal({ kind: 'api-key', scopes: ['infer'] }), PEOPLE)).errors?.[0]?.extensions.code).toBe(
      'access.forbidden',
    );
    expect((await auth.graphql(owner, '{ people(first: 101) { nodes { id } } }')).errors?.[0]?.extensions).toMatchObject({
      code: 'request.invalid',
      field: 'first',
    });
    for (const after of ['x', encodeCursor('\u0000'), encodeCursor('\ud800')])
      expect(
        (await auth.graphql(owner, 'query ($after: String) { people(after: $after) { nodes { id } } }', { after })).errors?.[0]?.extensions,
      ).toMatchObject({ code: 'request.invalid', field: 'after' });
  });
});

describe('addPerson', () => {
  it("adds to the caller's own tenant; the person can sign in", async () => {
    const { owner, tenantId } = await aTenant(auth, operator);
    const { data } = await auth.graphql(owner, ADD, { input: { email: ' New@Person.Example ', name: 'Nia', password: PASSWORD } });
    expect(data).toMatchObject({ addPerson: { person: { email: 'new@person.example', name: 'Nia', role: 'MEMBER' } } });
    expect(await (await signIn(auth, 'NEW@person.example', PASSWORD)).json()).toMatchObject({
      tenant: { id: tenantId },
      person: { role: 'member' },
    });
  });

  it('is not for members, nor for keys', async () => {
    const { owner } = await aTenant(auth, operator);
    const member = await aPerson(auth, owner, 'just@member.example');
    const input = { email: 'x@member.example', name: 'X', password: PASSWORD };
    for (const principal of [member, aPrincipal({ ...owner, kind: 'api-key', scopes: ['infer', 'models.read'] })]) {
      expect((await auth.graphql(principal, ADD, { input })).errors?.[0]?.extensions.code).toBe('access.forbidden');
    }
  });

  it('refuses an address that somebody of the tenant has', async () => {
    const { owner, ownerEmail } = await aTenant(auth, operator);
    const { errors } = await auth.graphql(owner, ADD, { input: { email: ownerEmail.toUpperCase(), name: 'X', password: PASSWORD } });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'person.email_taken', field: 'input.email' });
  });

  it('does the same whether or not another tenant has the address: in its answer, in the list, at sign-in', async () => {
    const [one, other] = [await aTenant(auth, operator), await aTenant(auth, operator)];
    const password = 'chosen by the first tenant';
    const seen: unknown[] = [];
    for (const email of [other.ownerEmail, 'free@nowhere.example']) {
      const added = await auth.graphql<{ addPerson: { person: { id: string } } }>(one.owner, ADD, {
        input: { email, name: 'X', password },
      });
      const listed = await auth.graphql(one.owner, PEOPLE);
      const signedIn = await signIn(auth, email, password);
      const { person, tenant } = (await signedIn.json()) as { person: object; tenant: object };
      await auth.graphql(one.owner, REMOVE, { id: added.data?.addPerson.person.id });
      const after = await signIn(auth, email, password);
      const text = JSON.stringify([added, listed, signedIn.status, person, tenant, after.status]);
      seen.push(text.replaceAll(email, 'EMAIL').replaceAll(added.data?.addPerson.person.id ?? '', 'ID'));
    }
    expect(seen[0]).toBe(seen[1]);
    expect(seen[0]).toContain(one.tenantId);
    expect(await (await signIn(auth, other.ownerEmail, PASSWORD)).json()).toMatchObject({ tenant: { id: other.tenantId } });
  });

  it('lets a person whose address and password are the same in two tenants name the one to sign in to', async () => {
    const [one, other] = [await aTenant(auth, operator), await aTenant(auth, operator)];
    await aPerson(auth, one.owner, other.ownerEmail);
    const slugOf = async (tenant?: string): Promise<unknown> => {
      const response = await auth.request('/auth/sign-in', {
        principal: anonymous,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ email: other.ownerEmail, password: PASSWORD, tenant }),
      });
      return response.status === 200 ? ((await response.json()) as { tenant: { slug: string } }).tenant.slug : response.status;
    };
    const slugs = await Promise.all(
      [one, other].map(
        async ({ owner }) => (await auth.graphql<{ tenant: { slug: string } }>(owner, '{ tenant { slug } }')).data?.tenant.slug,
      ),
    );
    expect([await slugOf(slugs[0]), await slugOf(slugs[1]), await slugOf(), await slugOf('no-such-tenant')]).toEqual([
      ...slugs,
      slugs[1],
      401,
    ]);
  });

  it('lets a person sign in to any of many tenants that have their address, where they name it', async () => {
    const email = 'everywhere@many.example';
    const slugs: string[] = [];
    for (let i = 0; i < 5; i++) {
      const { owner } = await aTenant(auth, operator);
      await auth.graphql(owner, ADD, { input: { email, name: 'X', password: `${PASSWORD} ${i}` } });
      slugs.push((await auth.graphql<{ tenant: { slug: string } }>(owner, '{ tenant { slug } }')).data?.tenant.slug ?? '');
    }
    const statuses: number[] = [];
    for (const [i, tenant] of [
      [3, undefined],
      [4, undefined],
      [4, slugs[4]],
      [4, slugs[3]],
    ] as const) {
      const response = await auth.request('/auth/sign-in', {
        principal: anonymous,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ email, password: `${PASSWORD} ${i}`, tenant }),
      });
      statuses.push(response.status);
    }
    expect(statuses).toEqual([200, 401, 200, 401]);
  });

  it('refuses more people than a tenant may have, also when they are added simultaneously, and goes on after one was removed', async () => {
    const [{ owner }, other] = [await aTenant(auth, operator), await aTenant(auth, operator)];
    const add = (i: number): ReturnType<typeof auth.graphql<{ addPerson: { person: { id: string } } }>> =>
      auth.graphql(owner, ADD, { input: { email: `person-${i}@full.example`, name: 'X', password: PASSWORD } });
    const answers = await Promise.all([1, 2, 3, 4, 5, 6].map(add));
    expect(answers.filter(({ errors }) => errors === undefined)).toHaveLength(MAX_PEOPLE - 1);
    for (const { errors } of answers.filter(({ errors }) => errors !== undefined))
      expect(errors?.[0]).toMatchObject({
        message: expect.stringContaining(`may have ${MAX_PEOPLE}`),
        extensions: { code: 'tenant.limit_reached' },
      });
    await aPerson(auth, other.owner, 'not-counted@full.example');
    await auth.graphql(owner, REMOVE, { id: answers.find(({ data }) => data?.addPerson)?.data?.addPerson.person.id });
    expect((await add(7)).errors).toBeUndefined();
  });

  it('makes nobody an operator outside the tenant of the operator, and only operators in it', async () => {
    const { owner } = await aTenant(auth, operator);
    const input = { email: 'climber@one.example', name: 'X', password: PASSWORD };
    expect((await auth.graphql(owner, ADD, { input: { ...input, role: 'OPERATOR' } })).errors?.[0]?.extensions).toMatchObject({
      code: 'request.invalid',
      field: 'input.role',
    });
    await auth.graphql(
      launcher,
      `mutation { bootstrapOperator(input: { email: "root@platform.example", name: "Root", password: "${PASSWORD}" }) { isNew } }`,
      {},
      'weir',
    );
    expect((await auth.graphql(operator, ADD, { input: { ...input, role: 'MEMBER' } })).errors?.[0]?.extensions).toMatchObject({
      code: 'request.invalid',
      field: 'input.role',
    });
    expect((await auth.graphql(operator, ADD, { input })).data).toMatchObject({ addPerson: { person: { role: 'OPERATOR' } } });
  });

  it.each([
    ['input.password', { password: 'x'.repeat(11) }],
    ['input.password', { password: 'x'.repeat(201) }],
    ['input.name', { name: 'a\u0007b' }],
    ['input.name', { name: 'a\ud800b' }],
    ['input.email', { email: 'a\u0000b@ok.example' }],
    ['input.email', { email: `${'x'.repeat(250)}@example.org` }],
  ])('names the field %s that is wrong', async (field, changes) => {
    const { owner } = await aTenant(auth, operator);
    const { errors } = await auth.graphql(owner, ADD, { input: { email: 'ok@ok.example', name: 'X', password: PASSWORD, ...changes } });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'request.invalid', field });
  });
});

/** Does another transaction wait for a lock of this one? */
async function isWaitedFor(holder: pg.Client): Promise<boolean> {
  const { rows } = await holder.query<{ waiting: boolean }>(
    'select bool_or(pg_backend_pid() = any(pg_blocking_pids(pid))) as waiting from pg_stat_activity',
  );
  return rows[0]?.waiting === true;
}

describe('removePerson', () => {
  it.each(['\u0000', 'a\u0007', '\ud800', '*', '', 'x'.repeat(65)])('names the id %j that none can be', async (id) => {
    expect((await auth.graphql(aPrincipal(), REMOVE, { id })).errors?.[0]?.extensions).toMatchObject({
      code: 'request.invalid',
      field: 'input.id',
    });
  });

  it('ends their sessions, here and at the gateway, and they cannot sign in again', async () => {
    const { owner } = await aTenant(auth, operator);
    const leaver = await aPerson(auth, owner, 'leaver@one.example');
    const { token } = (await (await signIn(auth, 'leaver@one.example', PASSWORD)).json()) as { token: string };
    const { revoked } = await auth.project({ revoked: sessionRevoked });
    const before = revoked.size;
    expect((await auth.graphql(owner, REMOVE, { id: leaver.id })).data).toEqual({ removePerson: { id: leaver.id } });
    await eventually(() => revoked.size === before + 1);
    const session = await auth.request('/auth/session', { principal: leaver, headers: { authorization: `Bearer ${token}` } });
    expect(session.status).toBe(401);
    expect((await signIn(auth, 'leaver@one.example', PASSWORD)).status).toBe(401);
  });

  it('ends the session of a sign-in that was under way', async () => {
    const { owner, tenantId } = await aTenant(auth, operator);
    const leaver = await aPerson(auth, owner, 'quick@leaver.example');
    const { revoked } = await auth.project({ revoked: sessionRevoked });
    const signingIn = new pg.Client({ connectionString: auth.database.urlOf('auth'), options: '-c search_path=auth' });
    await signingIn.connect();
    try {
      await signingIn.query('begin');
      await signingIn.query(`select set_config('app.tenant', $1, true)`, [tenantId]);
      await signingIn.query(
        `insert into sessions (id, tenant_id, person_id, created_at, expires_at) values ('slipped-in', $1, $2, now(), now() + interval '1 hour')`,
        [tenantId, leaver.id],
      );
      const removed = auth.graphql(owner, REMOVE, { id: leaver.id });
      await eventually(() => isWaitedFor(signingIn));
      await signingIn.query('commit');
      expect((await removed).data).toEqual({ removePerson: { id: leaver.id } });
    } finally {
      await signingIn.end();
    }
    await eventually(() => revoked.has('slipped-in'));
  });

  it('that ends while they sign in leaves them outside', async () => {
    const { owner, tenantId } = await aTenant(auth, operator);
    const leaver = await aPerson(auth, owner, 'slow@leaver.example');
    const removing = new pg.Client({ connectionString: auth.database.urlOf('auth'), options: '-c search_path=auth' });
    await removing.connect();
    try {
      await removing.query('begin');
      await removing.query(`select set_config('app.tenant', $1, true)`, [tenantId]);
      await removing.query('select from tenants for update');
      const answer = signIn(auth, 'slow@leaver.example', PASSWORD);
      await eventually(() => isWaitedFor(removing));
      await removing.query('delete from people where id = $1', [leaver.id]);
      await removing.query('commit');
      expect([(await answer).status, await (await answer).json()]).toEqual([
        401,
        expect.objectContaining({ error: expect.objectContaining({ code: 'auth.sign_in_failed' }) }),
      ]);
    } finally {
      await removing.end();
    }
  });

  it("cannot reach another tenant's person", async () => {
    const [one, other] = [await aTenant(auth, operator), await aTenant(auth, operator)];
    const person = await aPerson(auth, other.owner, 'safe@other.example');
    expect((await auth.graphql(one.owner, REMOVE, { id: person.id })).errors?.[0]?.extensions.code).toBe('person.not_found');
    expect((await signIn(auth, 'safe@other.example', PASSWORD)).status).toBe(200);
  });

  it('is not for members', async () => {
    const { owner } = await aTenant(auth, operator);
    const member = await aPerson(auth, owner, 'member@remove.example');
    expect((await auth.graphql(member, REMOVE, { id: owner.id })).errors?.[0]?.extensions.code).toBe('access.forbidden');
  });

  it('leaves one owner, also when two remove each other at the same moment', async () => {
    const { owner } = await aTenant(auth, operator);
    expect((await auth.graphql(owner, REMOVE, { id: owner.id })).errors?.[0]?.extensions.code).toBe('person.last_administrator');
    const second = await aPerson(auth, owner, 'second@owner.example', 'OWNER');
    const answers = await Promise.all([auth.graphql(owner, REMOVE, { id: second.id }), auth.graphql(second, REMOVE, { id: owner.id })]);
    expect(answers.filter(({ errors }) => errors === undefined)).toHaveLength(1);
    expect(answers.flatMap(({ errors }) => errors ?? []).map(({ extensions }) => extensions.code)).toEqual(['person.last_administrator']);
  });
});

it('no e-mail address and no password is in the log', () => {
  const text = logLines.join('\n');
  expect(text).not.toContain('.example');
  expect(text).not.toContain(PASSWORD);
});
