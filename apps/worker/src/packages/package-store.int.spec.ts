import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PackageFile } from '@weir/contracts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PackageStore } from './package-store.ts';

let directory: string;
let fetched: string[];
const contents = new Map<string, Buffer>();
const signal = new AbortController().signal;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-packages-'));
  fetched = [];
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function* fetchArtifact(sha256: string): AsyncIterable<Uint8Array> {
  fetched.push(sha256);
  const content = contents.get(sha256) ?? Buffer.alloc(0);
  for (let at = 0; at < content.length; at += 7) yield content.subarray(at, at + 7);
}

function file(path: string, text: string): PackageFile {
  const content = Buffer.from(text);
  const sha256 = createHash('sha256').update(content).digest('hex');
  contents.set(sha256, content);
  return { path, sha256, sizeBytes: content.length };
}

async function aStore(maxBytes = 1_000_000): Promise<PackageStore> {
  const store = new PackageStore({ directory, maxBytes });
  await store.open();
  return store;
}

const hold = (store: PackageStore, files: PackageFile[]) => store.hold(files, async (sha256) => fetchArtifact(sha256), signal);
const blobs = () => readdir(join(directory, 'blobs'));

describe('files of packages', () => {
  it('are fetched once, however many packages and names they have', async () => {
    const store = await aStore();
    const first = await hold(store, [file('onnx/model.onnx', 'weights'), file('a.json', 'same'), file('b.json', 'same')]);
    await hold(store, [file('model.onnx', 'weights')]);
    expect(fetched).toHaveLength(2);
    expect(await readFile(join(first.directory, 'onnx/model.onnx'), 'utf8')).toBe('weights');
    expect(await readFile(join(first.directory, 'b.json'), 'utf8')).toBe('same');
  });

  it('outlive the process', async () => {
    await hold(await aStore(), [file('model.onnx', 'kept')]);
    await writeFile(join(directory, 'incoming', 'half'), 'half a file');
    await hold(await aStore(), [file('model.onnx', 'kept')]);
    expect(fetched).toHaveLength(1);
    expect(await readdir(join(directory, 'incoming'))).toEqual([]);
  });

  it.each([
    ['another content', 'wrongly'],
    ['less', 'wei'],
    ['more, without end', 'weights and then some'],
  ])('that arrive as %s are refused and not kept', async (_, text) => {
    const store = await aStore();
    const announced = file('model.onnx', 'weights');
    contents.set(announced.sha256, Buffer.from(text));
    await expect(hold(store, [announced])).rejects.toMatchObject({ code: 'artifact.digest_mismatch' });
    expect(await blobs()).toEqual([]);
    expect(await readdir(join(directory, 'incoming'))).toEqual([]);
  });

  it('make room for others by the longest unused, never by one in use', async () => {
    const store = await aStore(25);
    const old = await hold(store, [file('model.onnx', 'old-------')]);
    const used = await hold(store, [file('model.onnx', 'used------')]);
    const newer = await hold(store, [file('model.onnx', 'newer')]);
    old.release();
    newer.release();
    await utimes(old.directory, new Date(0), new Date(0));
    await hold(store, [file('model.onnx', 'newest----')]);
    expect((await blobs()).sort()).toEqual(
      [file('', 'used------'), file('', 'newer'), file('', 'newest----')].map(({ sha256 }) => sha256).sort(),
    );
    // Later there may be room, but never for what is larger than everything.
    await expect(hold(store, [file('model.onnx', 'too large to fit beside')])).rejects.toMatchObject({ code: 'worker.overloaded' });
    await expect(hold(store, [file('model.onnx', 'too large for the whole cache')])).rejects.toMatchObject({
      code: 'model.package_invalid',
    });
    expect(await readFile(join(used.directory, 'model.onnx'), 'utf8')).toBe('used------');
  });

  it('with a path that leads out are not fetched at all', async () => {
    await expect(hold(await aStore(), [file('../model.onnx', 'x')])).rejects.toMatchObject({ code: 'model.package_invalid' });
    expect(fetched).toEqual([]);
  });
});
