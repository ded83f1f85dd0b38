import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from './harness/eventually.ts';
import type { GraphAnswer, PlatformClient } from './harness/platform-client.ts';
import { RunningPlatform } from './harness/running-platform.ts';

const SPEECH = readFileSync(new URL('../models/voice-activity/examples/speech.wav', import.meta.url)).toString('base64');
const INFER = 'mutation ($input: InferInput!) { infer(input: $input) { output { ... on SpeechActivity { frames } } } }';

interface Heard {
  readonly infer: { readonly output: { readonly frames: readonly number[] } };
}

describe('a sequence of calls to a model with a state', () => {
  let platform: RunningPlatform;
  let client: PlatformClient;

  const listen = (sequence: object): Promise<GraphAnswer<Heard>> =>
    client.graph<Heard>(INFER, { input: { model: 'voice-activity', input: { audio: { base64: SPEECH } }, sequence } });
  const framesOf = (answer: GraphAnswer<Heard>): readonly number[] => {
    if (answer.data === undefined || answer.data === null) throw new Error(answer.text);
    return answer.data.infer.output.frames;
  };
  const codeOf = (answer: GraphAnswer<Heard>): unknown => answer.errors?.[0]?.extensions['code'];

  beforeAll(async () => {
    platform = await RunningPlatform.start();
    client = platform.client;
  });
  afterAll(() => platform.stop());

  test('goes on from the state of the call before, begins anew with start, and is gone after end', async () => {
    const first = framesOf(await listen({ id: 'talk', start: true }));
    expect(first.length).toBeGreaterThan(10);
    expect(framesOf(await listen({ id: 'talk' }))).not.toEqual(first);
    // The last call gives the frame that is not full, too.
    const whole = framesOf(await listen({ id: 'talk', start: true, end: true }));
    expect(whole.slice(0, first.length)).toEqual(first);
    expect(codeOf(await listen({ id: 'talk' }))).toBe('sequence.lost');
  });

  test('is lost with its worker: the next call is refused, and none is answered from nothing', async () => {
    const first = framesOf(await listen({ id: 'lost', start: true }));
    platform.kill('worker');
    const codes: unknown[] = [];
    await eventually(async () => {
      codes.push(codeOf(await listen({ id: 'lost' })));
      expect(codes.at(-1)).toBe('sequence.lost');
    });
    expect(codes).not.toContain(undefined);
    const anew = await eventually(async () => framesOf(await listen({ id: 'lost', start: true })), 60_000);
    expect(anew).toEqual(first);
    expect(codeOf(await listen({ id: 'lost' }))).toBeUndefined();
  });
});
