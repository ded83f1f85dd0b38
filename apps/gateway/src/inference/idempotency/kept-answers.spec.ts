import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemClock } from '@weir/kernel';
import { TestClock } from '@weir/testing';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { KEY_LIFE_MS } from './idempotency-key.ts';
import { anAnswer, anIdentity, silent } from './kept-answers.fixture.ts';
import { KeptAnswers, type KeptAnswersOptions } from './kept-answers.ts';

const HOUR_MS = 3_600_000;

let directory: string;
let clock: TestClock;
let opened: KeptAnswers[];

async function open(options: Partial<KeptAnswersOptions> = {}): Promise<KeptAnswers> {
  const answers = await KeptAnswers.open({ directory, maxBytes: 16_777_216, maxKeys: 100_000, ...options }, clock, silent);
  opened.push(answers);
  return answers;
}

const files = async (): Promise<string[]> => (await readdir(directory)).sort();
const found = async (answers: KeptAnswers, key: string): Promise<string | undefined> =>
  (await answers.find(anIdentity(key).keyDigest))?.message.body.toString();

/** Digest of the call that was executed under the key, as far as the process knows. */
const usedFor = (answers: KeptAnswers, key: string): string | undefined => answers.usedKeys.find(anIdentity(key).keyDigest)?.callDigest;

beforeEach(async () => {
  directory = path.join(await mkdtemp(path.join(tmpdir(), 'weir-answers-')), 'answers');
  clock = new TestClock();
  opened = [];
});

afterEach(async () => {
  await Promise.all(opened.map((answers) => answers.close()));
  await rm(path.dirname(directory), { recursive: true, force: true });
});

describe('a kept answer', () => {
  test.each([
    ['text', anAnswer('{"outputs":["ä\\t\\"quoted\\""]}')],
    ['text with line breaks and tabs', anAnswer('{\n\t"outputs": []\n}')],
    [
      'bytes',
      anAnswer('', {
        message: {
          headers: { 'content-type': 'application/octet-stream', 'inference-header-content-length': '2' },
          body: Buffer.from([0x7b, 0x7d, 0, 0xff, 0x0a, 0x09, 0xc3]),
        },
      }),
    ],
  ])('of %s is the same when it is found, in this process and in the next', async (_, answer) => {
    const answers = await open();
    await answers.keep(anIdentity('a'), 'acme', answer);
    expect(await answers.find(anIdentity('a').keyDigest)).toEqual(answer);
    expect(usedFor(answers, 'a')).toBe(anIdentity('a').callDigest);
    await answers.close();
    const next = await open();
    expect(await next.find(anIdentity('a').keyDigest)).toEqual(answer);
    expect(usedFor(next, 'a')).toBe(anIdentity('a').callDigest);
    expect(await next.find(anIdentity('b').keyDigest)).toBeNull();
  });

  test('can be read by nobody else on the machine', async () => {
    const answers = await open();
    await answers.keep(anIdentity('a'), 'acme', anAnswer());
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    for (const file of await files()) expect((await stat(path.join(directory, file))).mode & 0o777).toBe(0o600);
  });

  test('is not found after 24 hours, and is gone from the disk within the hour after', async () => {
    const answers = await open();
    await answers.keep(anIdentity('a'), 'acme', anAnswer('secret of a'));
    clock.advance(HOUR_MS);
    await answers.sweep();
    await answers.keep(anIdentity('b'), 'acme', anAnswer());
    clock.advance(KEY_LIFE_MS - HOUR_MS - 1);
    expect(await found(answers, 'a')).toBe('secret of a');
    clock.advance(1);
    expect(await found(answers, 'a')).toBeUndefined();
    expect(usedFor(answers, 'a')).toBeUndefined();
    await answers.sweep();
    const contents = await Promise.all((await files()).map((file) => readFile(path.join(directory, file), 'utf8')));
    expect(contents.join('')).not.toContain('secret of a');
    expect(await found(answers, 'b')).toBeDefined();
    clock.advance(HOUR_MS);
    await answers.sweep();
    expect(await files()).toEqual([]);
    expect(answers.totalBytes).toBe(0);
  });

  test('that expired while no process ran is deleted by the next', async () => {
    const answers = await open();
    await answers.keep(anIdentity('a'), 'acme', anAnswer());
    await answers.close();
    clock.advance(KEY_LIFE_MS);
    const next = await open();
    expect(await files()).toEqual([]);
    expect(await found(next, 'a')).toBeUndefined();
  });

  test('is replaced by a later one under its key, also for the next process', async () => {
    const answers = await open();
    await answers.keep(anIdentity('a'), 'acme', anAnswer('first'));
    await answers.keep(anIdentity('a', 'another call'), 'acme', anAnswer('second'));
    expect(await found(answers, 'a')).toBe('second');
    await answers.close();
    const next = await open();
    expect(await found(next, 'a')).toBe('second');
    expect(usedFor(next, 'a')).toBe(anIdentity('a', 'another call').callDigest);
  });

  test('that a crash tore, or the disk damaged, is none; the others are found', async () => {
    const answers = await open();
    for (const key of ['a', 'b', 'c', 'd']) await answers.keep(anIdentity(key), 'acme', anAnswer(`answer ${key}`));
    await answers.close();
    const file = path.join(directory, (await files())[0] ?? '');
    const content = await readFile(file, 'utf8');
    await writeFile(file, content.replace('answer b', 'answer B'));
    await truncate(file, content.length - 5);
    const next = await open();
    expect(await Promise.all(['a', 'b', 'c', 'd'].map((key) => found(next, key)))).toEqual(['answer a', undefined, 'answer c', undefined]);
  });

  test('that is damaged while the process runs is none', async () => {
    const answers = await open();
    await answers.keep(anIdentity('a'), 'acme', anAnswer('answer a'));
    const file = path.join(directory, (await files())[0] ?? '');
    await writeFile(file, (await readFile(file, 'utf8')).replace('answer a', 'answer A'));
    expect(await found(answers, 'a')).toBeUndefined();
    await rm(file);
    expect(await found(answers, 'a')).toBeUndefined();
  });
});

describe('the room for kept answers', () => {
  test('is bounded: the oldest go first, and nothing that is newer is lost', async () => {
    const maxBytes = 1_048_576;
    const answers = await open({ maxBytes });
    const keys = Array.from({ length: 300 }, (_, index) => `key-${index}`);
    for (const [index, key] of keys.entries()) {
      await answers.keep(anIdentity(key), `tenant-${index % 10}`, anAnswer('x'.repeat(10_000)));
      expect(answers.totalBytes).toBeLessThanOrEqual(maxBytes);
    }
    let onDisk = 0;
    for (const file of await files()) onDisk += (await stat(path.join(directory, file))).size;
    expect(onDisk).toBe(answers.totalBytes);
    const isThere = await Promise.all(keys.map(async (key) => (await found(answers, key)) !== undefined));
    const oldest = isThere.indexOf(true);
    expect(oldest).toBeGreaterThan(150);
    expect(oldest).toBeLessThan(240);
    expect(isThere.slice(oldest)).not.toContain(false);
  });

  test('is shared: one tenant cannot drive out what others may need', async () => {
    const answers = await open({ maxBytes: 1_048_576 });
    await answers.keep(anIdentity('of acme'), 'acme', anAnswer());
    for (let index = 0; index < 200; index++) await answers.keep(anIdentity(`key-${index}`), 'globex', anAnswer('x'.repeat(20_000)));
    expect(await found(answers, 'of acme')).toBeDefined();
    expect(answers.totalBytes).toBeLessThan(300_000);
    await answers.keep(anIdentity('another of acme'), 'acme', anAnswer());
    expect(await found(answers, 'another of acme')).toBeDefined();
  });

  test('is given back by an answer that is replaced', async () => {
    const answers = await open({ maxBytes: 1_048_576 });
    for (let time = 0; time < 40; time++) await answers.keep(anIdentity('a'), 'acme', anAnswer(`${time} ${'x'.repeat(20_000)}`));
    expect(await found(answers, 'a')).toMatch(/^39 /);
  });

  test('of nothing stores nothing on the disk; that the key was used is remembered', async () => {
    const answers = await open({ maxBytes: 0 });
    await answers.keep(anIdentity('a'), 'acme', anAnswer());
    expect(await found(answers, 'a')).toBeUndefined();
    expect(await files()).toEqual([]);
    expect(usedFor(answers, 'a')).toBe(anIdentity('a').callDigest);
  });

  test('takes no answer that is too large; this process and the next remember that its key was used', async () => {
    const answers = await open();
    await answers.keep(anIdentity('a'), 'acme', anAnswer('x'.repeat(4 * 1_048_576), { receiptId: 'receipt-7' }));
    expect(await found(answers, 'a')).toBeUndefined();
    expect(answers.totalBytes).toBeLessThan(1_000);
    await answers.close();
    const next = await open();
    expect(await found(next, 'a')).toBeUndefined();
    expect(next.usedKeys.find(anIdentity('a').keyDigest)).toMatchObject({ callDigest: anIdentity('a').callDigest, receiptId: 'receipt-7' });
  });

  test('forgets no key when it drops an answer to make room: also those of tenants that fill their share', async () => {
    const answers = await open({ maxBytes: 1_048_576 });
    const keys = Array.from({ length: 300 }, (_, index) => `key-${index}`);
    for (const [index, key] of keys.entries()) await answers.keep(anIdentity(key), `tenant-${index % 6}`, anAnswer('x'.repeat(10_000)));
    expect(await found(answers, 'key-0')).toBeUndefined();
    expect(keys.filter((key) => usedFor(answers, key) === undefined)).toEqual([]);
    clock.advance(KEY_LIFE_MS);
    await answers.sweep();
    expect(keys.filter((key) => usedFor(answers, key) !== undefined)).toEqual([]);
  });

  test('of other tenants is not taken by a tenant that goes on beyond its share, in this process and the next', async () => {
    const options = { maxBytes: 1_048_576 };
    const answers = await open(options);
    const theirs = Array.from({ length: 20 }, (_, n) => `theirs-${n}`);
    for (const key of theirs) await answers.keep(anIdentity(key), 'globex', anAnswer());
    // Filled to sizes that differ by a byte, so that not even a mark fits in what is left; then many more calls.
    const sizes = [...Array.from({ length: 31 }, () => 8_000), 4_000, 2_000, 1_000, ...Array.from({ length: 1_000 }, (_, n) => 999 - n)];
    for (const [n, size] of sizes.entries()) await answers.keep(anIdentity(`filling-${n}`), 'acme', anAnswer('x'.repeat(size)));
    for (let n = 0; n < 6_000; n++) await answers.keep(anIdentity(`beyond-${n}`), 'acme', anAnswer());
    const keptOf = async (subject: KeptAnswers): Promise<number> =>
      (await Promise.all(theirs.map((key) => found(subject, key)))).filter((text) => text !== undefined).length;
    expect(await keptOf(answers)).toBe(20);
    await answers.close();
    const next = await open(options);
    expect(await keptOf(next)).toBe(20);
    expect(theirs.filter((key) => usedFor(next, key) === undefined)).toEqual([]);
  });

  test('on a disk that refuses fails no call', async () => {
    const answers = await open();
    await rm(directory, { recursive: true });
    await answers.keep(anIdentity('a'), 'acme', anAnswer());
    expect(await found(answers, 'a')).toBeUndefined();
    expect(usedFor(answers, 'a')).toBe(anIdentity('a').callDigest);
  });
});

test('kill -9 at any moment, again and again: every answer that was kept is found', async () => {
  const kept: string[] = [];
  for (let kill = 0; kill < 3; kill++) {
    const child = fork(new URL('./kept-answers-process.fixture.ts', import.meta.url), [directory, `process${kill}`], {
      execArgv: ['--conditions=@weir/source', '--disable-warning=ExperimentalWarning'],
    });
    const before = kept.length;
    child.on('message', (key: string) => kept.push(key));
    await vi.waitFor(() => expect(kept.length - before).toBeGreaterThan(150 + 37 * kill), { timeout: 20_000, interval: 1 });
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  const answers = await KeptAnswers.open({ directory, maxBytes: 4_194_304, maxKeys: 100_000 }, systemClock, silent);
  opened.push(answers);
  const texts = await Promise.all(kept.map(async (key) => (await found(answers, key))?.startsWith(`${key} `)));
  expect(kept.filter((_, index) => texts[index] !== true)).toEqual([]);
}, 60_000);
