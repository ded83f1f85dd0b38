import { expect, it } from 'vitest';
import { Passwords } from './passwords.ts';

const passwords = new Passwords();

it('a password is kept as argon2id with the recommended cost, salted', async () => {
  const [one, other] = await Promise.all([passwords.hash('correct horse battery'), passwords.hash('correct horse battery')]);
  expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  expect(one).not.toBe(other);
  expect(await passwords.verify('correct horse battery', one)).toBe(true);
  expect(await passwords.verify('Correct horse battery', one)).toBe(false);
});

it('the same letters typed in another way are the same password', async () => {
  expect(await passwords.verify('Ångström pass', await passwords.hash('A\u030angstro\u0308m pass'))).toBe(true);
});

it('nobody has a password, and finding that out takes as long as for somebody', async () => {
  const somebody = await passwords.hash('correct horse battery');
  const medianMs = async (hash: string | null): Promise<number> => {
    const times: number[] = [];
    for (let i = 0; i < 7; i++) {
      const start = performance.now();
      expect(await passwords.verify('wrong password', hash)).toBe(false);
      times.push(performance.now() - start);
    }
    return times.sort((a, b) => a - b)[3] ?? 0;
  };
  expect(await medianMs(null)).toBeGreaterThan((await medianMs(somebody)) / 3);
});

it('more than can be hashed in time are told to come back, and none is lost', async () => {
  const answers = await Promise.allSettled(Array.from({ length: 80 }, () => passwords.hash('correct horse battery')));
  const refused = answers.filter((answer) => answer.status === 'rejected');
  expect(refused).toHaveLength(16);
  for (const { reason } of refused) expect(reason).toMatchObject({ code: 'service.unavailable', retryAfterMs: 1_000 });
  await expect(passwords.hash('correct horse battery')).resolves.toBeDefined();
});
