import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { aText, PlatformClient } from './harness/platform-client.ts';
import { RunningPlatform, type ServiceName } from './harness/running-platform.ts';

const BURST = 200;
const PASSWORD = 'a password of a burst';
/** What one process may have taken at most; argon2id alone would take 19 MiB for each sign-in if nothing bounded it. */
const MOST_MEMORY_MIB = 700;

/** An answer, or advice to send the request later. */
const FORESEEN = new Set(['ok', 'service.unavailable', 'limit.in_flight']);

/** How often each outcome came. */
function tallied(outcomes: readonly string[]): Record<string, number> {
  const tally: Record<string, number> = {};
  for (const outcome of outcomes) tally[outcome] = (tally[outcome] ?? 0) + 1;
  return tally;
}

describe(`${BURST} at once get an answer or are told to come again, and nobody else waits for them`, () => {
  let platform: RunningPlatform;
  let owner: PlatformClient;

  beforeAll(async () => {
    platform = await RunningPlatform.start();
    owner = await platform.administrator();
  });
  afterAll(() => platform.stop());

  function burst(ask: (n: number) => Promise<string>): Promise<string[]> {
    return Promise.all(Array.from({ length: BURST }, (_, n) => ask(n)));
  }

  /** `ok`, or the code of the first error. */
  async function outcomeOf(as: PlatformClient, document: string, variables: Record<string, unknown> = {}): Promise<string> {
    const answer = await as.graph(document, variables);
    const code = answer.errors?.[0]?.extensions['code'];
    return typeof code === 'string' ? code : 'ok';
  }

  async function signIn(email: string, password: string): Promise<string> {
    const answer = await fetch(`${platform.url}/auth/sign-in`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email, password }),
    });
    const body = (await answer.json()) as { error?: { code: string } };
    return body.error?.code ?? 'ok';
  }

  test.each([
    ['usage', '{ usage(filter: { grain: MINUTE }) { nodes { calls } totals { calls costs { amount } } } }'],
    ['receipts', '{ receipts(first: 100) { nodes { id } } }'],
    ['people and keys', '{ me { id } tenant { id } people { nodes { id } } apiKeys { nodes { id } } }'],
    ['invoices', '{ invoices { nodes { id lines { amount } } } subscription { id plan { code } } plans { nodes { code } } }'],
    ['models', '{ models { nodes { name versions { nodes { version } } } } }'],
  ])('questions about %s', async (_, document) => {
    const tally = tallied(await burst(() => outcomeOf(owner, document)));
    expect(Object.keys(tally).filter((outcome) => !FORESEEN.has(outcome))).toEqual([]);
    // A tenant has some in progress and a queue; what comes on top, or waits too long on a busy machine, is refused.
    expect(tally['ok']).toBeGreaterThan(BURST / 10);
  });

  test('new people, with a password to hash for each, while inference goes on', async () => {
    let isOver = false;
    const latenciesMs: number[] = [];
    const calling = (async () => {
      while (!isOver) {
        const began = performance.now();
        expect((await platform.client.openInfer('sentiment', aText('meanwhile'))).status).toBe(200);
        latenciesMs.push(performance.now() - began);
        await new Promise((resolve) => setTimeout(resolve, 150));
      }
    })();
    const document = 'mutation ($input: AddPersonInput!) { addPerson(input: $input) { person { id } } }';
    const tally = tallied(
      await burst((n) => outcomeOf(owner, document, { input: { name: 'Burst', email: `burst-${n}@acme.example`, password: PASSWORD } })),
    );
    isOver = true;
    await calling;
    expect(Object.keys(tally).filter((outcome) => !FORESEEN.has(outcome))).toEqual([]);
    expect(Math.max(...latenciesMs)).toBeLessThan(5_000);
  });

  test('sign-ins, right and wrong', async () => {
    const { WEIR_OPERATOR_EMAIL, WEIR_OPERATOR_PASSWORD } = platform.demo;
    const tally = tallied(
      await burst((n) =>
        n % 2 === 0 ? signIn(WEIR_OPERATOR_EMAIL, WEIR_OPERATOR_PASSWORD) : signIn(`nobody-${n}@acme.example`, PASSWORD),
      ),
    );
    const foreseen = new Set(['ok', 'auth.sign_in_failed', 'auth.too_many_attempts', 'service.unavailable']);
    expect(Object.keys(tally).filter((outcome) => !foreseen.has(outcome))).toEqual([]);
  });

  test('and no service has grown beyond bounds', async () => {
    for (const service of ['auth', 'registry', 'metering', 'billing'] satisfies ServiceName[]) {
      const metrics = await (await fetch(`${platform.internalUrlOf(service)}/metrics`)).text();
      const residentBytes = Number(/^process_resident_memory_bytes(?:\{[^}]*\})? (\S+)$/m.exec(metrics)?.[1]);
      expect(residentBytes / 1_048_576, service).toBeLessThan(MOST_MEMORY_MIB);
    }
  });
});
