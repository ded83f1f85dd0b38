import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { eventually } from '@weir/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TextTokenizer, type TokenizerLimits } from './text-tokenizer.ts';
import { aByteLevelTokenizer, aWordPieceTokenizer } from './tokenizer.fixture.ts';

/** Backtracks for ages on many `a` without a `c`. */
const HANGING_PATTERN = '(?:a+)+c';
const HANGING_TEXT = 'a'.repeat(60);
/** Long enough that a busy machine does not look like a thread that hangs. */
const STALL_MS = 1_000;

let directory: string;
let tokenizer: TextTokenizer | null;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-tokenizer-'));
  tokenizer = null;
});

afterEach(async () => {
  await tokenizer?.close();
  await rm(directory, { recursive: true, force: true });
});

async function open(content: object, limits: Partial<TokenizerLimits> = {}): Promise<TextTokenizer> {
  const tokenizerFile = join(directory, 'tokenizer.json');
  await writeFile(tokenizerFile, JSON.stringify(content));
  tokenizer = await TextTokenizer.open(
    { tokenizerFile, tokenizerConfigFile: null, maxTokens: 16, maxPositions: 16, padTokenId: 0 },
    limits,
  );
  return tokenizer;
}

const alive = (): AbortSignal => new AbortController().signal;

describe('a tokenizer', () => {
  it('makes the texts of many calls into rows, each with its own', async () => {
    const { encode } = bound(await open(aWordPieceTokenizer()));
    const [first, second] = await Promise.all([encode(['anna lives', 'in']), encode(['new york'])]);
    expect(first.map(({ ids }) => Array.from(ids))).toEqual([
      [2, 5, 6, 3],
      [2, 7, 3],
    ]);
    expect(second.map(({ ids }) => ids.length)).toEqual([4]);
  });

  it.each<[string, object]>([
    ['that the library does not know', { ...aWordPieceTokenizer(), model: { type: 'Riddle' } }],
    ['that is none', { hello: 'world' }],
  ])('%s makes the package invalid, and the message holds no path', async (_, content) => {
    const failure = await open(content).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'model.package_invalid', field: 'tokenizer.json' });
    expect(String(failure)).not.toContain(directory);
  });

  it('that hangs on a text fails that call, and serves the next one', async () => {
    const { encode } = bound(await open(aByteLevelTokenizer(HANGING_PATTERN), { stallMs: STALL_MS }));
    const [hanging, beside] = await Promise.allSettled([encode([HANGING_TEXT]), encode(['A'])]);
    expect(hanging).toMatchObject({ status: 'rejected', reason: { code: 'model.failed' } });
    expect(beside.status).toBe('rejected');
    expect(await encode(['A'])).toHaveLength(1);
  });

  it('that hangs on a text which nobody waits for any more is ended, also when no other call comes', async () => {
    const started = once(process, 'worker') as Promise<[Worker]>;
    const { encode } = bound(await open(aByteLevelTokenizer(HANGING_PATTERN), { stallMs: STALL_MS }));
    const [thread] = await started;
    let isEnded = false;
    thread.once('exit', () => (isEnded = true));
    const failures: unknown[] = [];
    // Texts take turns: when the first one is there, the thread is about to hang on the second. Where the caller's leaving
    // overtakes it, it does not hang, and is tried once more.
    const hang = async (): Promise<void> => {
      const caller = new AbortController();
      const gone = new Error('the caller has gone');
      const first = encode(['A']).catch((error: unknown) => failures.push(error));
      const call = encode([HANGING_TEXT], caller.signal);
      await first;
      caller.abort(gone);
      await expect(call).rejects.toBe(gone);
    };
    await eventually(() => isEnded || hang().then(() => false), { intervalMs: 3 * STALL_MS });
    expect(failures).toEqual([]);
  });

  it('refuses more text than may wait', async () => {
    const { encode } = bound(await open(aWordPieceTokenizer(), { maxCharacters: 10 }));
    await expect(encode(['elf letters'])).rejects.toMatchObject({ code: 'worker.overloaded' });
    expect(await encode(['anna'])).toHaveLength(1);
  });

  it('whose version is unloaded gives up what is under way', async () => {
    const opened = await open(aByteLevelTokenizer(HANGING_PATTERN));
    const call = opened.encode([HANGING_TEXT], alive());
    const [refused] = await Promise.allSettled([call, opened.close()]);
    expect(refused).toMatchObject({ status: 'rejected', reason: { code: 'model.not_ready' } });
    await expect(opened.encode(['A'], alive())).rejects.toMatchObject({ code: 'model.not_ready' });
  });
});

function bound(opened: TextTokenizer) {
  return { encode: (texts: readonly string[], signal = alive()) => opened.encode(texts, signal) };
}
