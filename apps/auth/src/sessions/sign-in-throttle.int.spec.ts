import { anOperator, TestClock, type TestService } from '@weir/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { aTenant, deviceCookieOf, PASSWORD, signIn, startAuth } from '../auth.fixture.ts';
import { DEVICE_LIFETIME_MS } from './known-device.ts';

const operator = anOperator();
const clock = new TestClock();
let auth: TestService;

beforeAll(async () => {
  auth = await startAuth({ clock });
});

afterAll(async () => {
  await auth.close();
});

let networks = 0;
/** An address of a network that no other attempt of this file comes from. */
const aNetwork = (): string => `10.${++networks >> 8}.${networks & 255}.1`;

/** Wrong passwords, a few at a time. @returns the status of each */
async function guesses(count: number, emailOf: (i: number) => string, addressOf: (i: number) => string): Promise<number[]> {
  const statuses: number[] = [];
  for (let i = 0; i < count; i += 10) {
    const batch = Array.from({ length: Math.min(10, count - i) }, (_, j) => signIn(auth, emailOf(i + j), 'wrong', addressOf(i + j)));
    statuses.push(...(await Promise.all(batch)).map(({ status }) => status));
  }
  return statuses;
}

const countOf = (statuses: readonly number[], status: number): number => statuses.filter((one) => one === status).length;

const retryAfterMs = (response: Response): number => Number(response.headers.get('retry-after')) * 1_000;

/** A person whose password was guessed from so many networks that new devices have to wait; and a cookie of a device of theirs. */
async function anAttackedPerson(): Promise<{ readonly email: string; readonly device: string }> {
  const { ownerEmail: email } = await aTenant(auth, operator);
  const device = deviceCookieOf(await signIn(auth, email, PASSWORD, aNetwork()));
  const statuses = await guesses(40, () => email, aNetwork);
  expect(countOf(statuses, 401)).toBeGreaterThanOrEqual(20);
  expect(statuses.at(-1)).toBe(429);
  return { email, device };
}

describe('guessing the password of one account from one network', () => {
  it('is delayed twice as long with each failure after the tenth', async () => {
    const { ownerEmail } = await aTenant(auth, operator);
    const network = aNetwork();
    expect(
      await guesses(
        10,
        () => ownerEmail,
        () => network,
      ),
    ).toEqual(Array.from({ length: 10 }, () => 401));
    for (const seconds of [1, 2, 4, 8]) {
      const refused = await signIn(auth, ownerEmail, PASSWORD, network);
      expect(refused.status).toBe(429);
      expect(await refused.json()).toMatchObject({ error: { code: 'auth.too_many_attempts' } });
      expect(retryAfterMs(refused)).toBe(seconds * 1_000);
      clock.advance(seconds * 1_000);
      expect((await signIn(auth, ownerEmail, 'wrong', network)).status).toBe(401);
    }
  });

  it('is delayed for simultaneous guesses too, and for an address that no account has in the same way', async () => {
    const { ownerEmail } = await aTenant(auth, operator);
    for (const email of [ownerEmail, 'no-account@nowhere.example']) {
      const network = aNetwork();
      const answers = await Promise.all(Array.from({ length: 13 }, () => signIn(auth, email, 'wrong', network)));
      const statuses = answers.map(({ status }) => status);
      expect([countOf(statuses, 401), countOf(statuses, 429)]).toEqual([10, 3]);
      expect(new Set(answers.filter(({ status }) => status === 429).map(retryAfterMs))).toEqual(new Set([1_000]));
    }
  });

  it('delays neither the person elsewhere, nor their known device in the same network, nor other people', async () => {
    const [victim, other] = [await aTenant(auth, operator), await aTenant(auth, operator)];
    const network = aNetwork();
    const device = deviceCookieOf(await signIn(auth, victim.ownerEmail, PASSWORD, network));
    await guesses(
      10,
      () => victim.ownerEmail,
      () => network,
    );
    expect((await signIn(auth, victim.ownerEmail, PASSWORD, network)).status).toBe(429);
    expect((await signIn(auth, victim.ownerEmail, PASSWORD, network, device)).status).toBe(200);
    expect((await signIn(auth, victim.ownerEmail, PASSWORD, aNetwork())).status).toBe(200);
    expect((await signIn(auth, other.ownerEmail, PASSWORD, network)).status).toBe(200);
  });

  it('counts from the start again after the right password', async () => {
    const { ownerEmail } = await aTenant(auth, operator);
    const network = aNetwork();
    for (let round = 0; round < 2; round++) {
      expect(
        await guesses(
          8,
          () => ownerEmail,
          () => network,
        ),
      ).toEqual(Array.from({ length: 8 }, () => 401));
      expect((await signIn(auth, ownerEmail, PASSWORD, network)).status).toBe(200);
    }
  });

  it('is delayed on a known device as well', async () => {
    const { ownerEmail } = await aTenant(auth, operator);
    const device = deviceCookieOf(await signIn(auth, ownerEmail, PASSWORD, aNetwork()));
    for (let i = 0; i < 10; i++) expect((await signIn(auth, ownerEmail, 'wrong', aNetwork(), device)).status).toBe(401);
    expect((await signIn(auth, ownerEmail, PASSWORD, aNetwork(), device)).status).toBe(429);
  });
});

describe('guessing the password of one account from many networks', () => {
  it('does not delay a device that signed in before, also after its proof was renewed', async () => {
    const { email, device } = await anAttackedPerson();
    const first = await signIn(auth, email, PASSWORD, aNetwork(), `a=b; ${device}`);
    expect(first.status).toBe(200);
    expect((await signIn(auth, email, PASSWORD, aNetwork(), deviceCookieOf(first))).status).toBe(200);
  });

  it('makes a new device wait once; after the time that Retry-After gives it is admitted although the guessing goes on', async () => {
    const { email } = await anAttackedPerson();
    const network = aNetwork();
    const refused = await signIn(auth, email, PASSWORD, network);
    expect(refused.status).toBe(429);
    clock.advance(retryAfterMs(refused) - 1);
    expect((await signIn(auth, email, PASSWORD, network)).status).toBe(429);
    clock.advance(1);
    await guesses(20, () => email, aNetwork);
    expect((await signIn(auth, email, PASSWORD, network)).status).toBe(200);
  });

  it('is not helped by a proof of another account, nor by one that expired', async () => {
    const { email, device } = await anAttackedPerson();
    const { ownerEmail: own } = await aTenant(auth, operator);
    const foreign = deviceCookieOf(await signIn(auth, own, PASSWORD, aNetwork())).split('=')[1] ?? '';
    const nameOfVictim = device.split('=')[0] ?? '';
    expect((await signIn(auth, email, PASSWORD, aNetwork(), `${nameOfVictim}=${foreign}`)).status).toBe(429);
    expect((await signIn(auth, email, PASSWORD, aNetwork(), `${nameOfVictim}=nonsense`)).status).toBe(429);
    clock.advance(DEVICE_LIFETIME_MS);
    await guesses(40, () => email, aNetwork);
    expect((await signIn(auth, email, PASSWORD, aNetwork(), device)).status).toBe(429);
  });
});

describe('a tenant that adds an address which a person of another tenant has', () => {
  const ADD = 'mutation ($input: AddPersonInput!) { addPerson(input: $input) { person { id } } }';

  it("gets no further guesses at that person's password by signing in rightly in between", async () => {
    const [victim, rival] = [await aTenant(auth, operator), await aTenant(auth, operator)];
    const network = aNetwork();
    await auth.graphql(rival.owner, ADD, { input: { email: victim.ownerEmail, name: 'X', password: 'known to the rival' } });
    for (let round = 0; round < 2; round++) {
      expect(
        countOf(
          await guesses(
            6,
            () => victim.ownerEmail,
            () => network,
          ),
          401,
        ),
      ).toBe(6);
      expect((await signIn(auth, victim.ownerEmail, 'known to the rival', network)).status).toBe(200);
    }
    expect((await signIn(auth, victim.ownerEmail, PASSWORD, network)).status).toBe(401);
    expect((await signIn(auth, victim.ownerEmail, PASSWORD, aNetwork())).status).toBe(200);
  });

  it('is refused the same attempts whether or not such a person exists', async () => {
    const [other, rival] = [await aTenant(auth, operator), await aTenant(auth, operator)];
    const slug = (await auth.graphql<{ tenant: { slug: string } }>(rival.owner, '{ tenant { slug } }')).data?.tenant.slug;
    const seen: number[][] = [];
    for (const email of [other.ownerEmail, 'free@nowhere.example']) {
      await auth.graphql(rival.owner, ADD, { input: { email, name: 'X', password: 'known to the rival' } });
      const network = aNetwork();
      const statuses: number[] = [];
      // Counted for the rival's own person alone, then for all that have the address.
      for (let i = 0; i < 12; i++) statuses.push((await signIn(auth, email, 'wrong', network, undefined, slug)).status);
      statuses.push((await signIn(auth, email, 'wrong', network)).status);
      clock.advance(1_000);
      for (const password of ['known to the rival', 'wrong', 'known to the rival'])
        statuses.push((await signIn(auth, email, password, network)).status);
      seen.push(statuses);
    }
    expect(seen[0]).toEqual(seen[1]);
    expect(seen[0]?.slice(9)).toEqual([401, 429, 429, 429, 200, 401, 200]);
  });

  it('gets no known device for that person', async () => {
    const [victim, rival] = [await aTenant(auth, operator), await aTenant(auth, operator)];
    const { ownerEmail: email } = victim;
    const device = deviceCookieOf(await signIn(auth, email, PASSWORD, aNetwork()));
    await auth.graphql(rival.owner, ADD, { input: { email, name: 'X', password: 'known to the rival' } });
    const proof = deviceCookieOf(await signIn(auth, email, 'known to the rival', aNetwork()));
    expect(proof.split('=')[0]).toBe(device.split('=')[0]);
    await guesses(40, () => email, aNetwork);
    expect((await signIn(auth, email, 'known to the rival', aNetwork(), proof)).status).toBe(200);
    expect((await signIn(auth, email, PASSWORD, aNetwork(), proof)).status).toBe(401);
    expect((await signIn(auth, email, PASSWORD, aNetwork(), device)).status).toBe(200);
  });
});

describe('guessing passwords of many accounts from one network', () => {
  const person = (i: number): string => `person-${i}@many.example`;

  it('does not lock out others behind the same address after 50 failures', async () => {
    const { ownerEmail } = await aTenant(auth, operator);
    const network = aNetwork();
    expect(countOf(await guesses(50, person, () => network), 401)).toBe(50);
    expect((await signIn(auth, ownerEmail, PASSWORD, network)).status).toBe(200);
  });

  it('is delayed after 100 failures, whatever the client claims to forward for and whoever signs in rightly in between', async () => {
    const [rightful, other] = [await aTenant(auth, operator), await aTenant(auth, operator)];
    const device = deviceCookieOf(await signIn(auth, other.ownerEmail, PASSWORD, aNetwork()));
    const address = (i: number): string => `2001:db8:0:1::${i}`;
    expect(countOf(await guesses(60, person, address), 401)).toBe(60);
    expect((await signIn(auth, rightful.ownerEmail, PASSWORD, address(1))).status).toBe(200);
    expect(countOf(await guesses(40, (i) => person(60 + i), address), 401)).toBe(40);
    const refused = await signIn(auth, other.ownerEmail, PASSWORD, address(9));
    expect(refused.status).toBe(429);
    expect((await signIn(auth, other.ownerEmail, PASSWORD, address(9), device)).status).toBe(200);
    expect((await signIn(auth, rightful.ownerEmail, PASSWORD, address(7))).status).toBe(200);
    clock.advance(retryAfterMs(refused));
    expect((await signIn(auth, other.ownerEmail, PASSWORD, address(8))).status).toBe(200);
  });
});
