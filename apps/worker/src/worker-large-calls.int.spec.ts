import { aPrincipal } from '@weir/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { starterPackage, startTestWorker, type TestWorker } from './worker.fixture.ts';

const ACME = aPrincipal({ tenantId: 'acme' });
const GLOBEX = aPrincipal({ tenantId: 'globex' });
const LENGTH = 128;
/** Longest wait for an answer, on a machine that is busy with other things. */
const TIMEOUT_MS = 60_000;
const ROWS = [2_500, 2_000, 500];
/** The memory that a serving process has beside it is a fixed gibibyte. */
const MEMORY_BYTES = 512 * 2 ** 20;

let worker: TestWorker;

beforeAll(async () => {
  worker = await startTestWorker({ WEIR_WORKER_MEMORY_BYTES: String(MEMORY_BYTES), WEIR_WORKER_QUEUE_WAIT_MS: '60000' });
  for (const [model, task] of [
    ['sentiment', 'text-classification'],
    ['sentence-embedder', 'feature-extraction'],
  ] as const) {
    const placement = await worker.place(model, task, await starterPackage(model));
    await worker.announced(placement.versionId, 'ready');
  }
});

afterAll(() => worker.close());

/** A request with token tensors in the binary extension: in JSON the text of it would take longer than the run. */
function tokens(rows: number, length: number): { body: Uint8Array; headers: Record<string, string> } {
  const count = rows * length;
  const names = ['input_ids', 'attention_mask', 'token_type_ids'];
  const data = [
    BigInt64Array.from({ length: count }, (_, index) => BigInt(1_000 + (index % 997))),
    new BigInt64Array(count).fill(1n),
    new BigInt64Array(count),
  ];
  const head = Buffer.from(
    JSON.stringify({
      inputs: names.map((name) => ({ name, shape: [rows, length], datatype: 'INT64', parameters: { binary_data_size: count * 8 } })),
    }),
  );
  const body = Buffer.concat([head, ...data.map(({ buffer }) => Buffer.from(buffer))]);
  return {
    body,
    headers: {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(head.length),
      'x-weir-timeout-ms': String(TIMEOUT_MS),
    },
  };
}

const raw = async (model: string, rows: number, length = LENGTH): Promise<{ status: number; text: string }> => {
  const { body, headers } = tokens(rows, length);
  const response = await worker.request(`/v2/models/${model}/infer`, {
    principal: GLOBEX,
    method: 'POST',
    headers,
    body,
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  return { status: response.status, text: await response.text() };
};
const text = async (): Promise<number> => {
  const body = { inputs: [{ name: 'text', shape: [1], datatype: 'BYTES', data: ['The food was wonderful.'] }] };
  return (await worker.infer('sentiment', body, {}, undefined, ACME)).status;
};
const url = (): string | undefined => worker.worker()?.versions[0]?.url;

describe('raw calls of thousands of rows', () => {
  it(
    'are answered in runs of a bounded size, never end the process, and another tenant is answered meanwhile',
    { timeout: 240_000 },
    async () => {
      const before = url();
      const large = Promise.all(ROWS.map((rows) => raw('sentiment', rows)));
      let isOver = false;
      void large.finally(() => (isOver = true));
      const texts: number[] = [];
      do texts.push(await text());
      while (!isOver);
      const answers = await large;
      expect(answers.map(({ status }) => status)).toEqual(ROWS.map(() => 200));
      expect(answers.map(({ text: answer }) => (JSON.parse(answer) as { outputs: { shape: number[] }[] }).outputs[0]?.shape)).toEqual(
        ROWS.map((rows) => [rows, 2]),
      );
      expect(texts.filter((status) => status !== 200)).toEqual([]);
      expect(url()).toBe(before);
    },
  );

  it.each([
    [
      'sentence-embedder',
      2_000,
      128,
      'input "input_ids" of shape [2000, 128] needs about 32768000 elements in the outputs, at most 4000000 are allowed: send at most 244 rows in a call',
    ],
    ['sentiment', 1, 5_000, 'input "input_ids": rows have 5000 tokens, the model reads at most 128'],
  ])('of %s, %d × %d, are refused before they run when no answer could hold them', async (model, rows, length, message) => {
    const answer = await raw(model, rows, length);
    expect(answer.status).toBe(400);
    expect((JSON.parse(answer.text) as { error: string }).error).toContain(message);
  });
});
