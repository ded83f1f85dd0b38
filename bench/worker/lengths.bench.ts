import { cpuMicros, cpuMicrosOfTree, show, summarise } from '../measure.ts';
import { keepInFlight, type Call } from './calls.ts';
import { encoderNetwork } from './networks.ts';
import { Workshop } from './processes.ts';
import { Serving } from './serving.ts';

const ROUNDS = 9;
const TEXTS = 192;
const IN_FLIGHT = 64;
const NAIVE_BATCH = 16;
const SHORTEST = 16;
const LONGEST = 512;
const WORDS = 1_000;
const BATCHED = 'encoder';
const ALONE = 'encoder-alone';
const ENCODER = { layers: 4, width: 256, heads: 4, vocabulary: WORDS + 2, positions: LONGEST };

/** Texts of 16 to 512 tokens, most of them short, through the worker; beside padded batches in the order of arrival, and each by itself. */
export async function benchLengths(): Promise<string> {
  const workshop = new Workshop();
  const serving = await Serving.start({ maxBatchRows: 128, queueWaitMs: 30_000 });
  try {
    const network = encoderNetwork(ENCODER);
    const loop = await workshop.rawLoop(workshop.file('encoder', network));
    for (const [model, batching] of [
      [BATCHED, true],
      [ALONE, false],
    ] as const) {
      serving.place(model, { 'model.onnx': network, ...textFiles(batching) }, 'text-classification');
      await serving.load(model);
    }
    const lengths = spreadLengths();
    const unbatched = lengths.map((length) => [1, length]);
    const naive = Array.from({ length: Math.ceil(TEXTS / NAIVE_BATCH) }, (_, batch) => {
      const together = lengths.slice(batch * NAIVE_BATCH, (batch + 1) * NAIVE_BATCH);
      return [together.length, Math.max(...together)];
    });
    for (const model of [BATCHED, ALONE]) await keepInFlight(await calls(serving, model, lengths), TEXTS * 3, IN_FLIGHT);
    await loop.run(naive);
    const cpu = { served: [] as number[], alone: [] as number[], unbatched: [] as number[], naive: [] as number[] };
    const perText = async (pid: number, work: () => Promise<unknown>): Promise<number> => {
      const before = pid === loop.pid ? cpuMicros(pid) : cpuMicrosOfTree(pid);
      await work();
      return ((pid === loop.pid ? cpuMicros(pid) : cpuMicrosOfTree(pid)) - before) / TEXTS / 1_000;
    };
    for (let round = 0; round < ROUNDS; round++) {
      for (const [model, measured] of [
        [BATCHED, cpu.served],
        [ALONE, cpu.alone],
      ] as const) {
        const made = await calls(serving, model, lengths);
        measured.push(await perText(serving.pid, () => keepInFlight(made, TEXTS, IN_FLIGHT)));
      }
      cpu.unbatched.push(await perText(loop.pid, () => loop.run(unbatched)));
      cpu.naive.push(await perText(loop.pid, () => loop.run(naive)));
    }
    const metrics = await serving.metrics();
    const value = (name: string, end: string): number =>
      metrics.get(name)?.find(({ labels, metricName }) => labels['model'] === BATCHED && (metricName ?? name).endsWith(end))?.value ?? NaN;
    const rows = value('weir_model_batch_rows', '_sum');
    const tokens = lengths.reduce((sum, length) => sum + length, 0);
    const padded = naive.reduce((sum, [size = 0, longest = 0]) => sum + size * longest, 0);
    const gain = (of: readonly number[]): string => show(summarise(of.map((ms, round) => ms / (cpu.served[round] ?? NaN))), '×', 2);
    return `${ROUNDS} rounds of ${TEXTS} texts of ${SHORTEST} to ${LONGEST} tokens (as many between 16 and 32 as between 256 and 512; ${(tokens / TEXTS).toFixed(0)} on average), ${IN_FLIGHT} in flight, one text in each call; an encoder of ${ENCODER.layers} layers of ${ENCODER.width}. The worker's part includes HTTP and tokens. Median (range).

| | CPU per text | gain of the worker |
|---|---|---|
| worker | ${show(summarise(cpu.served), 'ms', 2)} | |
| worker, each text by itself | ${show(summarise(cpu.alone), 'ms', 2)} | ${gain(cpu.alone)} |
| bare, ${NAIVE_BATCH} texts padded to the longest, in the order of arrival | ${show(summarise(cpu.naive), 'ms', 2)} | ${gain(cpu.naive)} |
| bare, each text by itself | ${show(summarise(cpu.unbatched), 'ms', 2)} | ${gain(cpu.unbatched)} |

Padding: ${((value('weir_model_padding_rows_total', '') / rows) * 100).toFixed(1)} % of what the worker computed, ${((1 - tokens / padded) * 100).toFixed(0)} % of the padded batches; ${(rows / value('weir_model_batch_rows', '_count')).toFixed(1)} texts in a run of the worker.
`;
  } finally {
    await serving.stop();
    workshop.close();
  }
}

/** Evenly over the logarithm, in an order that is always the same and has nothing to do with the length. */
function spreadLengths(): number[] {
  return Array.from({ length: TEXTS }, (_, index) => {
    const part = ((index * 79) % TEXTS) / (TEXTS - 1);
    return Math.round(SHORTEST * (LONGEST / SHORTEST) ** part);
  });
}

async function calls(serving: Serving, model: string, lengths: readonly number[]): Promise<Call[]> {
  const headers = { 'content-type': 'application/json', ...(await serving.headers()) };
  return lengths.map((length) => {
    const text = Array.from({ length }, (_, index) => `w${(index * 31) % WORDS}`).join(' ');
    const body = Buffer.from(JSON.stringify({ inputs: [{ name: 'text', shape: [1], datatype: 'BYTES', data: [text] }] }));
    return { origin: serving.origin, path: `/v2/models/${model}/infer`, headers, body };
  });
}

/** A tokenizer to which each word is a token, and what else a text classifier's package holds. */
function textFiles(batching: boolean): Record<string, string> {
  const vocab = Object.fromEntries(
    ['[PAD]', '[UNK]', ...Array.from({ length: WORDS }, (_, index) => `w${index}`)].map((word, id) => [word, id]),
  );
  const added = ['[PAD]', '[UNK]'].map((content, id) => ({
    id,
    content,
    special: true,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  }));
  return {
    'config.json': JSON.stringify({ model_type: 'bert', pad_token_id: 0, max_position_embeddings: LONGEST, id2label: { 0: 'a', 1: 'b' } }),
    'tokenizer.json': JSON.stringify({
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: null,
      pre_tokenizer: { type: 'Whitespace' },
      post_processor: null,
      decoder: null,
      model: { type: 'WordLevel', vocab, unk_token: '[UNK]' },
    }),
    'tokenizer_config.json': JSON.stringify({ tokenizer_class: 'PreTrainedTokenizerFast', pad_token: '[PAD]', unk_token: '[UNK]' }),
    'weir.json': JSON.stringify({
      runtime: { batching },
      examples: [{ input: { text: Array.from({ length: 64 }, (_, index) => `w${index}`).join(' ') } }],
    }),
  };
}
