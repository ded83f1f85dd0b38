import { describe, expect, it } from 'vitest';
import { assertSafePackagePath } from './package-path.ts';

describe('a file of a package stays inside the package', () => {
  it.each(['model.onnx', 'onnx/model.onnx', 'onnx/model.onnx_data', 'a-b/c_d/e.json'])('%s is allowed', (path) => {
    expect(() => assertSafePackagePath(path)).not.toThrow();
  });

  it.each([
    '',
    '/etc/passwd',
    '../up',
    'a/../b',
    'a/./b',
    'a//b',
    '.hidden',
    'a/.git/config',
    'a\\b',
    'a\0b',
    `${'x'.repeat(300)}`,
    'C:/x',
    'näme',
  ])('%j is refused', (path) => {
    expect(() => assertSafePackagePath(path)).toThrowError(expect.objectContaining({ code: 'model.package_invalid' }));
  });
});
