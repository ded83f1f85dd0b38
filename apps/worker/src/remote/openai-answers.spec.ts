import { describe, expect, it } from 'vitest';
import { embeddingsOf, listsOther, mostInputTokens } from './openai-answers.ts';

const body = (json: unknown): Buffer => Buffer.from(JSON.stringify(json));
const base64 = (...numbers: number[]): string => Buffer.from(Float32Array.from(numbers).buffer).toString('base64');
const vector = (index: number, embedding: unknown) => ({ object: 'embedding', index, embedding });

describe('the answer of /embeddings', () => {
  it('is read as the documentation of the API shows it, tokens counted', () => {
    // As https://platform.openai.com/docs/api-reference/embeddings/create shows it, the vector shortened.
    const example = {
      object: 'list',
      data: [{ object: 'embedding', embedding: [0.0023064255, -0.009327292, -0.0028842222], index: 0 }],
      model: 'text-embedding-ada-002',
      usage: { prompt_tokens: 8, total_tokens: 8 },
    };
    const { vectors, inputTokens } = embeddingsOf(body(example), 1);
    expect(vectors.shape).toEqual([1, 3]);
    expect([...vectors.data]).toEqual([0.0023064255, -0.009327292, -0.0028842222].map(Math.fround));
    expect(inputTokens).toBe(8);
  });

  it('is read in base64 too, bit for bit, and in the order of the texts whatever the order of the answer', () => {
    const { vectors } = embeddingsOf(body({ data: [vector(1, base64(0.1, -3e-30)), vector(0, [1, 2])] }), 2);
    expect([...vectors.data]).toEqual([1, 2, Math.fround(0.1), Math.fround(-3e-30)]);
  });

  it('without a count counts no tokens', () => {
    expect(embeddingsOf(body({ data: [vector(0, [1])] }), 1).inputTokens).toBe(0);
  });

  it.each([
    ['that is no JSON', Buffer.from('<html>')],
    ['that is an error', body({ error: { message: 'no' } })],
    ['with too few vectors', body({ data: [vector(0, [1])] })],
    ['with too many', body({ data: [vector(0, [1]), vector(1, [1]), vector(2, [1])] })],
    ['with one twice', body({ data: [vector(0, [1]), vector(0, [1])] })],
    ['with vectors of different sizes', body({ data: [vector(0, [1]), vector(1, [1, 2])] })],
    ['with an empty vector', body({ data: [vector(0, []), vector(1, [])] })],
    ['with numbers that 32 bits do not hold', body({ data: [vector(0, [1e300]), vector(1, [1])] })],
    ['with nulls', body({ data: [vector(0, [null]), vector(1, [1])] })],
    ['with bytes that are no numbers', body({ data: [vector(0, 'AAA='), vector(1, 'AAA=')] })],
    ['with NaN in its bytes', body({ data: [vector(0, base64(Number.NaN)), vector(1, base64(1))] })],
    ['with a negative count', body({ data: [vector(0, [1]), vector(1, [1])], usage: { prompt_tokens: -1 } })],
  ])('%s is the failure of the model, not of the caller', (_, answer) => {
    expect(() => embeddingsOf(answer, 2)).toThrowError(expect.objectContaining({ code: 'model.failed' }));
  });
});

describe('the tokens of texts', () => {
  it('are at most one a byte of UTF-8, and what a server may add to each text', () => {
    expect(mostInputTokens(['good', '世界 🙂'])).toBe(4 + 11 + 2 * 64);
    expect(mostInputTokens([''])).toBe(64);
  });
});

describe('the answer of /models', () => {
  it('tells when the server has others and not this one', () => {
    const list = body({ object: 'list', data: [{ id: 'a' }, { id: 'b' }] });
    expect([listsOther(list, 'a'), listsOther(list, 'c')]).toEqual([false, true]);
  });

  it('tells nothing when it is no list of models', () => {
    for (const answer of [Buffer.from('ok'), body({}), body({ data: [] })]) expect(listsOther(answer, 'a')).toBe(false);
  });
});
