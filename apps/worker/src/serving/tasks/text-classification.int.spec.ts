import { fileURLToPath } from 'node:url';
import type { Parameters, RequestTensor } from '@weir/open-inference';
import { Tokenizer } from '@huggingface/tokenizers';
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { metadataOf } from './metadata.ts';
import { closeWrittenPackages, openWritten } from './package.fixture.ts';
import { aProcessedInput, openPackage, outputOf, type OpenPackage, type SpecCallOptions } from './task-call.fixture.ts';
import { aTokenTable, sumNetwork, tokenNetwork } from './texts/text-networks.fixture.ts';
import { aWordPieceTokenizer } from './texts/tokenizer.fixture.ts';

const SENTIMENT = fileURLToPath(new URL('../../../../../models/sentiment/', import.meta.url));
const TEXTS = ['I love this phone, the battery lasts for days.', 'Terrible service and the food was cold.'];

let model: OpenPackage;

beforeAll(async () => {
  model = await openPackage(SENTIMENT, 'text-classification');
});

afterAll(async () => {
  await model.close();
});

afterEach(closeWrittenPackages);

async function failure(texts: readonly unknown[], options: SpecCallOptions & { parameters?: Parameters } = {}): Promise<unknown> {
  return model.infer([aProcessedInput('text', texts)], options).catch((error: unknown) => error);
}

describe('texts', () => {
  it('are classified as in the card of the starter model, one row each, so that texts of many callers can share a run', async () => {
    const runs = model.runs.length;
    const answer = await model.infer([aProcessedInput('text', TEXTS)], { parameters: { top_k: 1 } });
    expect(outputOf(answer, 'label')).toMatchObject({ datatype: 'BYTES', shape: [2, 1], data: ['POSITIVE', 'NEGATIVE'] });
    expect(answer.usage.inputs).toBe(2);
    const items = model.runs.slice(runs);
    expect(items.map(({ feeds }) => feeds[0]?.dims[0])).toEqual([1, 1]);
    expect(items.reduce((sum, { feeds }) => sum + (feeds[0]?.dims[1] ?? 0), 0)).toBe(answer.usage['input-tokens']);
  });

  it('get the same scores beside a longer text as alone, because padding is masked', async () => {
    const beside = await openPackage(SENTIMENT, 'text-classification', { padTo: 64 });
    const [alone, together] = await Promise.all([model, beside].map((each) => each.infer([aProcessedInput('text', TEXTS)])));
    await beside.close();
    const scores = Array.from(outputOf(alone!, 'score').data, Number);
    expect(Array.from(outputOf(together!, 'score').data, Number)).toEqual(scores.map((score) => expect.closeTo(score, 5)));
  });

  it('that are longer than the model reads lose their end, and only what is read is counted', async () => {
    const long = `${TEXTS[0]} ${'and so on '.repeat(4_000)}`;
    const tokenizer = new Tokenizer(JSON.parse(readFileSync(`${SENTIMENT}tokenizer.json`, 'utf8')) as object, {});
    const answer = await model.infer([aProcessedInput('text', [long])]);
    expect(answer.usage['input-tokens']).toBe(64);
    const [ids] = model.runs.at(-1)?.feeds ?? [];
    expect(Array.from(ids?.data.slice(0, 63) ?? [], Number)).toEqual(tokenizer.encode(long.slice(0, 1_000)).ids.slice(0, 63));
  });

  it('may come as bytes of UTF-8', async () => {
    const content = new TextEncoder().encode(TEXTS[1]);
    const framed = Buffer.concat([Buffer.from(Uint32Array.of(content.length).buffer), content]);
    const answer = await model.infer([{ name: 'text', datatype: 'BYTES', shape: [1], data: framed }], { parameters: { top_k: 1 } });
    expect(outputOf(answer, 'label').data).toEqual(['NEGATIVE']);
  });

  it.each<[string, readonly unknown[], SpecCallOptions & { parameters?: Parameters }, object]>([
    [
      'too long',
      ['ab', 'abcd'],
      { limits: { maxTextCharacters: 3 } },
      { code: 'model.input_invalid', field: 'inputs[0].data[1]', message: 'item 1 has 4 characters, at most 3 are allowed' },
    ],
    ['too many', ['a', 'b', 'c'], { limits: { maxItems: 2 } }, { code: 'request.too_large', field: 'inputs[0].shape' }],
    ['none', [], {}, { code: 'model.input_invalid', field: 'inputs[0].shape' }],
    ['no texts', ['a', 7], {}, { code: 'model.input_invalid', field: 'inputs[0].data[1]' }],
    ['asked for no labels', ['a'], { parameters: { top_k: 0 } }, { code: 'model.input_invalid', field: 'parameters.top_k' }],
  ])('that are %s are refused with the field', async (_, texts, options, error) => {
    expect(await failure(texts, options)).toMatchObject(error);
  });

  it('of a caller who has gone are not run', async () => {
    const runs = model.runs.length;
    const gone = new Error('gone');
    expect(await failure(TEXTS, { signal: AbortSignal.abort(gone) })).toBe(gone);
    expect(model.runs).toHaveLength(runs);
  });
});

describe('a text classifier', () => {
  const tokenizer = aWordPieceTokenizer(['good', 'bad']);
  const files = {
    'tokenizer.json': tokenizer,
    'config.json': { id2label: { 0: 'no', 1: 'yes' }, problem_type: 'multi_label_classification' },
  };
  const table = (good: number) => aTokenTable(60, 2, { 5: [good, 0] });

  it('from Hugging Face needs no weir.json, whichever of the usual files the network is', async () => {
    for (const path of ['onnx/model.onnx', 'onnx/model_quantized.onnx', 'onnx/model_q4.onnx', 'model.onnx', 'classifier.onnx']) {
      const opened = await openWritten('text-classification', { ...files, [path]: sumNetwork(table(2), 'logits') });
      const answer = await opened.infer([aProcessedInput('text', ['good'])]);
      expect(outputOf(answer, 'label').data).toEqual(['no', 'yes']);
      expect(outputOf(answer, 'score').data[0]).toBeCloseTo(1 / (1 + Math.exp(-2)), 6);
    }
  });

  it.each([Number.NaN, Infinity])('that gives %j for a text has failed, and the caller is not blamed', async (logit) => {
    const opened = await openWritten('text-classification', { ...files, 'model.onnx': sumNetwork(table(logit), 'logits') });
    await expect(opened.infer([aProcessedInput('text', ['good'])])).rejects.toMatchObject({ code: 'model.failed' });
  });

  it('that gives something for each token has failed', async () => {
    const opened = await openWritten('text-classification', { ...files, 'model.onnx': tokenNetwork(table(1), 'logits') });
    await expect(opened.infer([aProcessedInput('text', ['good'])])).rejects.toMatchObject({ code: 'model.failed' });
  });

  it('that does not take what its own tokenizer makes has failed, without the words of ONNX Runtime', async () => {
    const opened = await openWritten('text-classification', { ...files, 'model.onnx': sumNetwork(table(1).slice(0, 5), 'logits') });
    const failed = await opened.infer([aProcessedInput('text', ['good'])]).catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: 'model.failed' });
    expect(String(failed)).not.toContain('indices');
  });

  it('answers the outputs that are asked for, in their order, and refuses others', async () => {
    const opened = await openWritten('text-classification', { ...files, 'model.onnx': sumNetwork(table(1), 'logits') });
    const input = [aProcessedInput('text', ['good'])];
    expect((await opened.infer(input, { outputs: ['score', 'label'] })).outputs.map(({ name }) => name)).toEqual(['score', 'label']);
    expect((await opened.infer(input, { outputs: ['score'] })).outputs.map(({ name }) => name)).toEqual(['score']);
    await expect(opened.infer(input, { outputs: ['label', 'logits'] })).rejects.toMatchObject({
      code: 'model.input_invalid',
      field: 'outputs[1].name',
    });
  });

  it('takes tokens as raw tensors too', async () => {
    const opened = await openWritten('text-classification', { ...files, 'model.onnx': sumNetwork(table(3), 'logits') });
    const ids = (name: string, data: number[]) => ({ name, datatype: 'INT64', shape: [1, 2], data }) as const;
    const answer = await opened.infer([ids('input_ids', [5, 5]), ids('attention_mask', [1, 1]), ids('token_type_ids', [0, 0])]);
    expect(outputOf(answer, 'logits')).toMatchObject({ shape: [1, 2], data: Float32Array.of(6, 0) });
  });

  it('tells in its metadata what it takes as text, and what as tensors', async () => {
    const opened = await openWritten('text-classification', { ...files, 'model.onnx': sumNetwork(table(3), 'logits') });
    const { inputs, parameters } = metadataOf(opened.version, 'reviews', ['2']);
    expect(inputs.map(({ name }) => name)).toEqual(['input_ids', 'attention_mask', 'token_type_ids']);
    expect(parameters).toEqual({
      task: 'text-classification',
      processed: {
        inputs: [{ name: 'text', datatype: 'BYTES', shape: [-1] }],
        outputs: [
          { name: 'label', datatype: 'BYTES', shape: [-1, -1] },
          { name: 'score', datatype: 'FP32', shape: [-1, -1] },
        ],
        parameters: ['top_k'],
      },
    });
  });

  it.each<[string, readonly RequestTensor[], string]>([
    ['beside another input', [aProcessedInput('text', ['a']), aProcessedInput('more', ['a'])], 'inputs'],
    ['of another datatype', [{ name: 'text', datatype: 'INT32', shape: [1], data: [1] }], 'inputs[0].datatype'],
  ])('refuses a text %s', async (_, inputs, field) => {
    const opened = await openWritten('text-classification', { ...files, 'model.onnx': sumNetwork(table(3), 'logits') });
    await expect(opened.infer(inputs)).rejects.toMatchObject({ code: 'model.input_invalid', field });
  });
});
