import { afterEach, describe, expect, it } from 'vitest';
import { closeWrittenPackages, openWritten, type PackageContent } from './package.fixture.ts';
import { aProcessedInput, outputOf } from './task-call.fixture.ts';
import { aTokenTable, tokenNetwork } from './texts/text-networks.fixture.ts';
import { aWordPieceTokenizer } from './texts/tokenizer.fixture.ts';

const labels = { 0: 'O', 1: 'B-PER', 2: 'B-LOC', 3: 'I-LOC' };

/** Knows `anna` as a person, `new york` as a place; of what comes in pieces it is only sure of the first one. */
function aTagger(over: PackageContent = {}): PackageContent {
  const tokenizer = aWordPieceTokenizer();
  const ids = tokenizer as { readonly model: { readonly vocab: Readonly<Record<string, number>> } };
  const id = (token: string): number => ids.model.vocab[token] ?? 0;
  const table = aTokenTable(
    Object.keys(ids.model.vocab).length,
    4,
    {
      [id('anna')]: [0, 4, 0, 0],
      [id('new')]: [0, 0, 4, 0],
      [id('york')]: [0, 0, 0, 4],
      [id('o')]: [0, 4, 0, 0],
      [id('[PAD]')]: [0, 9, 0, 0],
    },
    [4, 0, 0, 0],
  );
  return { 'model.onnx': tokenNetwork(table, 'logits'), 'tokenizer.json': tokenizer, 'config.json': { id2label: labels }, ...over };
}

afterEach(closeWrittenPackages);

describe('entities', () => {
  it.each([0, 32])('are joined of their tokens, with their place in the text as it was written (padded to %d)', async (padTo) => {
    const model = await openWritten('token-classification', aTagger(), { padTo });
    const text = 'Änna lives in  NEW York, 日.';
    const answer = await model.infer([aProcessedInput('text', [text, 'in', 'Anna Anna'])]);
    expect(outputOf(answer, 'label')).toMatchObject({ shape: [3, 2], data: ['PER', 'LOC', '', '', 'PER', 'PER'] });
    expect(outputOf(answer, 'count').data).toEqual(Int32Array.of(2, 0, 2));
    const [starts, ends] = [outputOf(answer, 'start').data, outputOf(answer, 'end').data];
    expect([0, 1].map((rank) => text.slice(Number(starts[rank]), Number(ends[rank])))).toEqual(['Änna', 'NEW York']);
    expect(outputOf(answer, 'score').data[1]).toBeCloseTo(Math.exp(4) / (Math.exp(4) + 3), 5);
    expect(answer.usage).toEqual({ inputs: 3, 'input-tokens': 10 + 3 + 4 });
  });

  it('are whole words where the package says that the first token speaks for the word', async () => {
    const infer = async (over: PackageContent): Promise<string[]> => {
      const model = await openWritten('token-classification', aTagger(over));
      const answer = await model.infer([aProcessedInput('text', ['in otto'])]);
      const [start, end] = [outputOf(answer, 'start').data[0], outputOf(answer, 'end').data[0]];
      return ['in otto'.slice(Number(start), Number(end))];
    };
    expect(await infer({})).toEqual(['o']);
    expect(await infer({ 'weir.json': { entities: { aggregation: 'first' } } })).toEqual(['otto']);
  });

  it('of no text at all are none', async () => {
    const model = await openWritten('token-classification', aTagger());
    const answer = await model.infer([aProcessedInput('text', ['', ' '])]);
    expect(outputOf(answer, 'label')).toMatchObject({ shape: [2, 0], data: [] });
    expect(outputOf(answer, 'count').data).toEqual(Int32Array.of(0, 0));
  });
});
