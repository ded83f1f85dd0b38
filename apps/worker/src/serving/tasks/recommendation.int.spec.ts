import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { onnxModel } from '@weir/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { closeWrittenPackages, openWritten, type PackageContent } from './package.fixture.ts';
import { aProcessedInput, openPackage, outputOf, type OpenPackage } from './task-call.fixture.ts';

const LIBRARIES = fileURLToPath(new URL('../../../../../models/library-recommender/', import.meta.url));

/** Scores of four items for three users, looked up by the number of the user. */
function aRecommender(over: PackageContent = {}, scores = [1, 4, 3, 2, 9, 9, 9, 9, 0, 0, 0, 1]): PackageContent {
  return {
    'model.onnx': onnxModel({
      inputs: [{ name: 'user', type: 'int64', dims: ['users'] }],
      outputs: [{ name: 'scores', dims: ['users', 4] }],
      nodes: [{ operator: 'Gather', inputs: ['table', 'user'], outputs: ['scores'] }],
      initialisers: [{ name: 'table', dims: [3, 4], data: scores }],
    }),
    'weir.json': { recommendation: { users: 'users.json', items: 'items.json', seen: 'seen.json' } },
    'users.json': ['ada', 'bob', 7],
    'items.json': ['a', { id: 'b', title: 'Bee' }, 3, 'd'],
    'seen.json': { ada: [1], bob: [0, 1, 2, 3] },
    ...over,
  };
}

afterEach(closeWrittenPackages);

const users = (...names: readonly string[]) => [aProcessedInput('user', names)];

describe('recommendations', () => {
  it('are the best items of each user, without what the user has seen', async () => {
    const model = await openWritten('recommendation', aRecommender());
    const answer = await model.infer(users('ada', 'bob', '7'), { parameters: { top_k: 2 } });
    expect(outputOf(answer, 'item')).toMatchObject({ shape: [3, 2], data: ['3', 'd', '', '', 'd', 'a'] });
    expect(outputOf(answer, 'score').data).toEqual(Float32Array.of(3, 2, 0, 0, 1, 0));
    expect(outputOf(answer, 'count').data).toEqual(Int32Array.of(2, 0, 2));
    expect(answer.usage).toEqual({ inputs: 3, 'input-tokens': 0 });
    expect(model.runs.map(({ feeds }) => feeds[0]?.dims[0])).toEqual([1, 1, 1]);
  });

  it('of the starter model are what its card measured, and nothing that the user has', async () => {
    const model = await openPackage(LIBRARIES, 'recommendation');
    try {
      const items = JSON.parse(readFileSync(`${LIBRARIES}items.json`, 'utf8')) as { id: string }[];
      const seen = JSON.parse(readFileSync(`${LIBRARIES}seen.json`, 'utf8')) as Record<string, number[]>;
      const known = new Set(seen['inkscape']?.map((index) => items[index]?.id));
      const found = outputOf(await model.infer(users('inkscape')), 'item');
      expect(found.shape).toEqual([1, 10]);
      expect(new Set(found.data as string[]).size).toBe(10);
      expect((found.data as string[]).filter((item) => known.has(item))).toEqual([]);
    } finally {
      await model.close();
    }
  });

  it('for a user that the model does not know are refused, and no user is named', async () => {
    const model = await openWritten('recommendation', aRecommender());
    const failure = await model.infer(users('ada', 'eve')).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'model.input_invalid', field: 'inputs[0].data[1]' });
    expect(String(failure)).not.toMatch(/ada|bob|eve/);
  });

  it.each([[0], [1_001], [2.5]])('are not %d', async (topK) => {
    const model = await openWritten('recommendation', aRecommender());
    await expect(model.infer(users('ada'), { parameters: { top_k: topK } })).rejects.toMatchObject({ field: 'parameters.top_k' });
  });

  it('that are no numbers are the fault of the model', async () => {
    const model = await openWritten(
      'recommendation',
      aRecommender(
        {},
        Array.from({ length: 12 }, () => Number.NaN),
      ),
    );
    await expect(model.infer(users('ada'))).rejects.toMatchObject({ code: 'model.failed' });
  });

  it('leave the raw input of the same name to those who send numbers', async () => {
    const model = await openWritten('recommendation', aRecommender());
    const answer = await model.infer([{ name: 'user', datatype: 'INT64', shape: [1], data: [2] }]);
    expect(outputOf(answer, 'scores').data).toEqual(Float32Array.of(0, 0, 0, 1));
  });

  it.each<[string, PackageContent, string]>([
    [
      'has no list of users',
      { 'weir.json': { recommendation: { users: 'missing.json', items: 'items.json' } } },
      'missing.json of the package is missing',
    ],
    ['names another number of items', { 'items.json': ['a'], 'seen.json': {} }, 'names 1 items, the model gives 4 scores'],
    ['has seen items that there are not', { 'seen.json': { ada: [4] } }, 'names items beyond the 4'],
    ['does not say where its lists are', { 'weir.json': {} }, 'needs the section "recommendation"'],
  ])('are not made by a package that %s', async (_, over, message) => {
    const opening: Promise<OpenPackage> = openWritten('recommendation', aRecommender(over));
    await expect(opening).rejects.toMatchObject({ code: 'model.package_invalid', message: expect.stringContaining(message) });
  });
});
