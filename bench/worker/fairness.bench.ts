import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { percentile, show, summarise } from '../measure.ts';
import { keepRate, type Call, type Outcome } from './calls.ts';
import { Serving } from './serving.ts';

const MODEL = fileURLToPath(new URL('../../models/sentiment/', import.meta.url));
const FILES = ['onnx/model.onnx', 'config.json', 'tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'weir.json'];
const ROUNDS = 5;
const SECONDS = 3;
const PER_SECOND = 20;
const AGGRESSION = 10;
const SLOTS = 2;
const TEXT = 'The food was wonderful and the staff were kind.';
/** A call as large as one may be. */
const LARGE_ITEMS = 64;
const LARGE_TEXT = `${TEXT} `.repeat(6);

/** Effect on a tenant of another one that calls the same model ten times as often, or with as much as the worker takes. */
export async function benchFairness(): Promise<string> {
  const serving = await Serving.start({ slots: SLOTS, maxBatchRows: 128 });
  try {
    serving.place('sentiment', Object.fromEntries(FILES.map((file) => [file, readFileSync(MODEL + file)])), 'text-classification');
    await serving.load('sentiment');
    const call = async (tenantId: string, texts: readonly string[]): Promise<Call> => {
      const body = Buffer.from(JSON.stringify({ inputs: [{ name: 'text', shape: [texts.length], datatype: 'BYTES', data: texts }] }));
      const headers = { 'content-type': 'application/json', ...(await serving.headers(tenantId)) };
      return { origin: serving.origin, path: '/v2/models/sentiment/infer', headers, body };
    };
    const victim = async (): Promise<Outcome[]> => keepRate(await call('victim', [TEXT]), PER_SECOND, SECONDS, 16);
    const large = Array.from({ length: LARGE_ITEMS }, () => LARGE_TEXT);
    const scenarios = {
      alone: async () => ({ victim: await victim(), aggressor: [] as Outcome[] }),
      [`${AGGRESSION} × the calls`]: async () => {
        const aggressor = keepRate(await call('aggressor', [TEXT]), PER_SECOND * AGGRESSION, SECONDS, 64);
        return { victim: await victim(), aggressor: await aggressor };
      },
      [`${AGGRESSION} × the calls, of ${LARGE_ITEMS} texts`]: async () => {
        const aggressor = keepRate(await call('aggressor', large), PER_SECOND * AGGRESSION, SECONDS, 64);
        return { victim: await victim(), aggressor: await aggressor };
      },
    };
    const results = new Map<
      string,
      { p50: number[]; p99: number[]; refused: number; calls: number; aggressor: number; aggressorCalls: number }
    >();
    await scenarios[`${AGGRESSION} × the calls`]?.();
    for (let round = 0; round < ROUNDS; round++) {
      for (const [name, run] of Object.entries(scenarios)) {
        const outcome = await run();
        const result = results.get(name) ?? { p50: [], p99: [], refused: 0, calls: 0, aggressor: 0, aggressorCalls: 0 };
        results.set(name, result);
        const answered = outcome.victim.filter(({ status }) => status === 200).map(({ ms }) => ms);
        result.p50.push(percentile(answered, 0.5));
        result.p99.push(percentile(answered, 0.99));
        result.calls += outcome.victim.length;
        result.refused += outcome.victim.length - answered.length;
        result.aggressorCalls += outcome.aggressor.length;
        result.aggressor += outcome.aggressor.filter(({ status }) => status !== 200).length;
      }
    }
    const alone = results.get('alone');
    const shown = (values: readonly number[], unit: string, digits: number): string => {
      // In a round without an answer there is none.
      const measured = values.filter(Number.isFinite);
      return measured.length === 0 ? 'no answer' : show(summarise(measured), unit, digits);
    };
    const ratio = (p99: readonly number[]): string =>
      shown(
        p99.map((ms, round) => ms / (alone?.p99[round] ?? NaN)),
        '×',
        2,
      );
    const lines = [...results].map(
      ([name, { p50, p99, refused, calls, aggressor, aggressorCalls }]) =>
        `| ${name} | ${shown(p50, 'ms', 1)} | ${shown(p99, 'ms', 1)} | ${ratio(p99)} | ${refused} of ${calls} | ${aggressor} of ${aggressorCalls} |`,
    );
    return `A tenant calls \`sentiment\` ${PER_SECOND} times a second, alone and beside another tenant, interleaved; ${SLOTS} runs at once, ${ROUNDS} rounds of ${SECONDS} s. Median (range) of the rounds.

| beside it | p50 | p99 | p99 of alone | not answered | of the other |
|---|---|---|---|---|---|
${lines.join('\n')}
`;
  } finally {
    await serving.stop();
  }
}
