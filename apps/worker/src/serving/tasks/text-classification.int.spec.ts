import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { aProcessedInput, openPackage, outputOf, type OpenPackage } from './task-call.fixture.ts';

const SENTIMENT = fileURLToPath(new URL('../../../../../models/sentiment/', import.meta.url));

const TEXTS = ['I love this phone, the battery lasts for days.', 'Terrible service and the food was cold.'];

let model: OpenPackage;

beforeAll(async () => {
  model = await openPackage(SENTIMENT, 'text-classification');
});

afterAll(async () => {
  await model.close();
});

describe('texts', () => {
  it('are classified one by one, so that texts of many callers can share a run', async () => {
    const answer = await model.infer([aProcessedInput('text', TEXTS)], { parameters: { top_k: 1 } });
    expect(outputOf(answer, 'label')).toMatchObject({ shape: [2, 1], data: ['POSITIVE', 'NEGATIVE'] });
    expect(answer.usage.inputs).toBe(2);
    expect(model.runs.map(({ rows }) => rows)).toEqual([1, 1]);
    expect(model.runs.reduce((sum, { length = 0 }) => sum + length, 0)).toBe(answer.usage['input-tokens']);
  });
});
