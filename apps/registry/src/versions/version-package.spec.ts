import type { Task, WeirFile } from '@weir/contracts';
import { describe, expect, it } from 'vitest';
import { assertFilesForTask, assertPackagePaths, packageDigest } from './version-package.ts';

const files = (...paths: string[]) => paths.map((path) => ({ path, sha256: path.length.toString(16).padStart(64, '0') }));

const AGE = { kind: 'number', name: 'age', mean: 40, deviation: 10 } as const;
const READING = { detector: 'find.onnx', recogniser: 'read.onnx', characters: 'letters.txt', longestEdgePixels: 960 };

describe('a package', () => {
  it('has the same digest in whatever order its files are listed, and another when a path or content differs', () => {
    const [a, b] = [
      { path: 'a', sha256: '1'.repeat(64) },
      { path: 'b', sha256: '2'.repeat(64) },
    ];
    expect(packageDigest([a, b])).toBe(packageDigest([b, a]));
    expect(packageDigest([a, b])).not.toBe(packageDigest([a, { ...b, sha256: '3'.repeat(64) }]));
    expect(packageDigest([a, b])).not.toBe(packageDigest([a, { ...b, path: 'c' }]));
  });

  it.each([
    ['that leads out', ['../up'], 'input.files[0].path'],
    ['that is absolute', ['a', '/etc/passwd'], 'input.files[1].path'],
    ['with an empty part', ['a//b'], 'input.files[0].path'],
    ['that is hidden', ['a/.env'], 'input.files[0].path'],
    ['with another separator', ['a\\b'], 'input.files[0].path'],
    ['with a zero', ['a\0'], 'input.files[0].path'],
    ['twice', ['a', 'a'], 'input.files[1].path'],
    ['twice but for its case', ['model.onnx', 'Model.onnx'], 'input.files[1].path'],
    ['in a folder that is a file', ['a', 'a/b'], 'input.files[1].path'],
  ])('with a path %s is refused, and the file is named', (_, paths, field) => {
    expect(() => assertPackagePaths(files(...paths))).toThrowError(expect.objectContaining({ code: 'request.invalid', field }));
  });

  it('with plain paths is taken', () => {
    expect(() => assertPackagePaths(files('weir.json', 'onnx/model.onnx', 'onnx/model.onnx_data', 'examples/a-1.png'))).not.toThrow();
  });

  it.each<[Task, string[], WeirFile, string]>([
    ['tensors', ['model.onnx'], {}, 'complete'],
    ['tensors', ['net.onnx'], {}, 'complete'],
    ['tensors', ['net.onnx', 'other.onnx'], {}, 'onnx/model.onnx'],
    ['tensors', ['weights.bin'], {}, 'onnx/model.onnx'],
    ['tensors', ['net.onnx'], { model: 'net.onnx' }, 'complete'],
    ['tensors', ['model.onnx'], { model: 'net.onnx' }, 'net.onnx'],
    ['text-classification', ['model.onnx', 'config.json', 'tokenizer.json'], {}, 'tokenizer_config.json'],
    ['image-classification', ['onnx/model.onnx', 'config.json'], {}, 'preprocessor_config.json'],
    ['tabular-regression', ['model.onnx'], {}, 'weir.json with the section tabular'],
    ['tabular-regression', ['model.onnx', 'weir.json'], { tabular: { features: [AGE] } }, 'complete'],
    ['recommendation', ['model.onnx', 'users.json'], { recommendation: { users: 'users.json', items: 'items.json' } }, 'items.json'],
    ['image-to-text', ['find.onnx', 'read.onnx'], { reading: READING }, 'letters.txt'],
    ['image-to-text', ['find.onnx', 'letters.txt'], { reading: READING }, 'read.onnx'],
    ['image-to-text', ['find.onnx', 'read.onnx', 'letters.txt'], { reading: READING }, 'complete'],
  ])('for %s must hold what the task needs (%j, weir.json %j: %s)', (task, paths, weir, needed) => {
    let message = 'complete';
    try {
      assertFilesForTask(task, files(...paths), weir);
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toBe(needed === 'complete' ? needed : `input.files: a model for ${task} needs ${needed}.`);
  });
});
