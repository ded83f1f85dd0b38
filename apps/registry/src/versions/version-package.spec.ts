import { describe, expect, it } from 'vitest';
import { assertFilesForTask, assertPackagePaths, packageDigest } from './version-package.ts';

const files = (...paths: string[]) => paths.map((path) => ({ path, sha256: path.length.toString(16).padStart(64, '0') }));

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

  it('must hold what its task needs, and the missing file is named', () => {
    const message = (task: Parameters<typeof assertFilesForTask>[0], paths: string[], model?: string) => {
      try {
        assertFilesForTask(task, files(...paths), model);
        return 'complete';
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(message('tensors', ['model.onnx'])).toBe('complete');
    expect(message('tensors', ['weights.bin'])).toBe('input.files: a model for tensors needs onnx/model.onnx.');
    expect(message('tensors', ['net.onnx'], 'net.onnx')).toBe('complete');
    expect(message('tensors', ['model.onnx'], 'net.onnx')).toBe('input.files: a model for tensors needs net.onnx.');
    expect(message('text-classification', ['model.onnx', 'config.json', 'tokenizer.json'])).toBe(
      'input.files: a model for text-classification needs tokenizer_config.json.',
    );
    expect(message('image-classification', ['onnx/model.onnx', 'config.json'])).toBe(
      'input.files: a model for image-classification needs preprocessor_config.json.',
    );
  });
});
