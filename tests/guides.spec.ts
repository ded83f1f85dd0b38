import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RunningPlatform } from './harness/running-platform.ts';

/** The commands of a page, in its order. */
const commandsOf = (page: string): string[] =>
  [...readFileSync(new URL(`../docs/guides/${page}`, import.meta.url), 'utf8').matchAll(/^```sh\n(.*?)^```/gms)].map(
    (match) => match[1] ?? '',
  );

describe('the guides', () => {
  let platform: RunningPlatform;
  beforeAll(async () => {
    platform = await RunningPlatform.start();
  });
  afterAll(() => platform.stop());

  test('calling models: every command works when pasted into one shell, and answers what the page says', async () => {
    const [setUp = '', ...commands] = commandsOf('inference.md');
    const script = ['set -e', setUp, ...commands.flatMap((command) => [command, 'echo; echo =====;'])].join('\n');
    const { stdout } = await promisify(execFile)('sh', ['-c', script], { cwd: path.dirname(platform.home) });
    const [found, texts, refused, many, repeated, inTime] = stdout
      .split('=====')
      .map((answers) => answers.trim())
      .map((answers) => answers.split(/(?<=\})(?=\{"data")/).map((answer) => (answer === '' ? null : (JSON.parse(answer) as unknown))));
    const receiptId = expect.stringMatching(/^[\da-f-]{36}$/) as unknown;
    const cost = { amount: expect.stringMatching(/^0\.\d+$/) as unknown, currency: 'EUR' };
    expect(found).toMatchObject([
      { data: { models: { nodes: [{ name: 'sentiment', task: 'TEXT_CLASSIFICATION', examples: [{}, {}] }] } } },
    ]);
    expect(texts).toMatchObject([
      {
        data: {
          infer: { output: { items: [{ labels: [{}] }, { labels: [{ label: 'NEGATIVE' }] }] }, usage: [{}, {}, {}], cost, receiptId },
        },
      },
    ]);
    expect(refused).toMatchObject([
      {
        errors: [
          {
            message: 'input.input.text: a model for image-classification takes image or images or tensors, got text.',
            extensions: { code: 'model.input_invalid', field: 'input.input.text' },
          },
        ],
      },
    ]);
    expect(many).toMatchObject([
      {
        data: {
          inferMany: {
            items: [
              { result: { output: { labels: [{ label: 'POSITIVE' }] }, receiptId }, error: null },
              { result: null, error: { code: 'model.input_invalid', field: 'input.inputs[1].seed' } },
              { result: { output: { labels: [{ label: 'NEGATIVE' }] }, receiptId }, error: null },
            ],
            cost,
          },
        },
      },
    ]);
    const [first, second] = (repeated ?? []) as { data: { infer: { isRepeated: boolean; receiptId: string } } }[];
    expect([first?.data.infer.isRepeated, second?.data.infer.isRepeated]).toEqual([false, true]);
    expect(second?.data.infer.receiptId).toBe(first?.data.infer.receiptId);
    expect(inTime).toMatchObject([{ data: { infer: { output: { labels: [{}, {}] } } } }]);
  });
});
