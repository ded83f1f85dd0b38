import { describe, expect, it } from 'vitest';
import { providersFor } from './execution-providers.ts';

describe('a version', () => {
  it('that asks for nothing runs on what the worker prefers', () => {
    expect(providersFor(undefined, ['cuda', 'cpu'])).toEqual(['cuda', 'cpu']);
  });

  it('runs on the accelerator that it asks for first, and on the others what that one cannot do', () => {
    expect(providersFor('cuda', ['tensorrt', 'cuda', 'cpu'])).toEqual(['cuda', 'tensorrt', 'cpu']);
  });

  it('that asks for the processor runs on nothing else', () => {
    expect(providersFor('cpu', ['cuda', 'cpu'])).toEqual(['cpu']);
  });

  it('that asks for what the worker has not is refused, not run on something slower', () => {
    expect(() => providersFor('cuda', ['cpu'])).toThrowError(
      expect.objectContaining({
        code: 'model.package_invalid',
        message: 'The model asks for the accelerator cuda; this worker offers cpu.',
      }),
    );
  });
});
