import { afterEach, describe, expect, it } from 'vitest';
import { closeWrittenPackages, openWritten, type PackageContent } from './package.fixture.ts';
import { aProcessedInput, outputOf } from './task-call.fixture.ts';
import { aTokenTable, sentenceNetwork, sumNetwork, tokenNetwork } from './texts/text-networks.fixture.ts';
import { aWordPieceTokenizer } from './texts/tokenizer.fixture.ts';

// [CLS] 2, [SEP] 3, one 5, two 6; [PAD] 0 would show in every mean.
const TABLE = aTokenTable(60, 2, { 0: [1_000, 1_000], 2: [0, 3], 3: [3, 0], 5: [9, 0], 6: [0, 6] });
const tokenizer = { 'tokenizer.json': aWordPieceTokenizer(['one', 'two']) };
const tokenModel = { ...tokenizer, 'onnx/model.onnx': tokenNetwork(TABLE, 'last_hidden_state') };
const modules = (...kinds: string[]) => ({
  'modules.json': kinds.map((kind, idx) => ({
    idx,
    name: String(idx),
    path: `${idx}_${kind}`,
    type: `sentence_transformers.models.${kind}`,
  })),
});
const pooling = (mode: string) => ({
  '1_Pooling/config.json': { word_embedding_dimension: 2, pooling_mode_mean_tokens: false, [mode]: true },
});

afterEach(closeWrittenPackages);

async function vectors(content: PackageContent, texts: readonly string[], padTo = 0): Promise<number[][]> {
  const model = await openWritten('feature-extraction', content, { padTo });
  const answer = await model.infer([aProcessedInput('text', texts)]);
  const { datatype, shape, data } = outputOf(answer, 'embedding');
  expect(datatype).toBe('FP32');
  return texts.map((_, row) => Array.from(data.slice(row * (shape[1] ?? 0), (row + 1) * (shape[1] ?? 0)), Number));
}

describe('the embedding of a text', () => {
  it.each([0, 16])('is the mean of its tokens, special ones too, with the length 1 (padded to %d)', async (padTo) => {
    // one: [0, 3], [9, 0], [3, 0]; one two: with [0, 6].
    expect(await vectors(tokenModel, ['one', 'one two'], padTo)).toEqual([
      [expect.closeTo(12 / Math.hypot(12, 3), 6), expect.closeTo(3 / Math.hypot(12, 3), 6)],
      [expect.closeTo(12 / Math.hypot(12, 9), 6), expect.closeTo(9 / Math.hypot(12, 9), 6)],
    ]);
  });

  it.each<[string, PackageContent, readonly number[]]>([
    ['weir.json', { 'weir.json': { embedding: { pooling: 'cls', normalise: false } } }, [0, 3]],
    [
      'weir.json, over sentence-transformers',
      { 'weir.json': { embedding: { pooling: 'last-token', normalise: false } }, ...pooling('pooling_mode_cls_token') },
      [3, 0],
    ],
    ['1_Pooling', { ...modules('Transformer', 'Pooling'), ...pooling('pooling_mode_cls_token') }, [0, 3]],
    ['1_Pooling by the last token', { ...modules('Transformer', 'Pooling'), ...pooling('pooling_mode_lasttoken') }, [3, 0]],
    ['modules.json with Normalize', { ...modules('Transformer', 'Pooling', 'Normalize'), ...pooling('pooling_mode_lasttoken') }, [1, 0]],
    ['modules.json without Normalize', { ...modules('Transformer', 'Pooling'), ...pooling('pooling_mode_mean_tokens') }, [4, 1]],
  ])('is made as %s says', async (_, content, expected) => {
    expect(await vectors({ ...tokenModel, ...content }, ['one'], 8)).toEqual([expected]);
  });

  it.each(['sentence_embedding', 'pooler_output', 'anything'])(
    'is taken from the output %s where the model makes it itself',
    async (output) => {
      const content = {
        ...tokenizer,
        'model.onnx': sumNetwork(TABLE, output),
        'weir.json': { embedding: { pooling: 'none', normalise: false } },
      };
      expect(await vectors(content, ['one', 'two'], 8)).toEqual([
        [12, 3],
        [3, 9],
      ]);
    },
  );

  it('is the one of the text where the model gives those of its tokens too', async () => {
    const content = { ...tokenizer, 'model.onnx': sentenceNetwork(TABLE, [3, 4]) };
    expect(await vectors(content, ['one'])).toEqual([[expect.closeTo(0.6, 6), expect.closeTo(0.8, 6)]]);
  });

  it.each<[string, PackageContent]>([
    ['a pooling that is not done here', pooling('pooling_mode_max_tokens')],
    ['several poolings at once', { '1_Pooling/config.json': { pooling_mode_cls_token: true, pooling_mode_mean_tokens: true } }],
    ['a layer that is not in the network', modules('Transformer', 'Pooling', 'Dense')],
  ])('is refused when the package asks for %s', async (_, content) => {
    await expect(openWritten('feature-extraction', { ...tokenModel, ...content })).rejects.toMatchObject({ code: 'model.package_invalid' });
  });

  it('counts the tokens that the model read', async () => {
    const model = await openWritten('feature-extraction', { ...tokenModel, 'tokenizer_config.json': { model_max_length: 4 } });
    const answer = await model.infer([aProcessedInput('text', ['one two one two one', 'one'])]);
    expect(answer.usage).toEqual({ inputs: 2, 'input-tokens': 4 + 3 });
  });
});
