import { describe, expect, it } from 'vitest';
import { reservedBytes } from './reserved-memory.ts';

const of = (over: Partial<Parameters<typeof reservedBytes>[0]> = {}) =>
  reservedBytes({ declaredBytes: 2_000, fileBytes: 10, measuredBytes: null, accelerator: null, ...over });

describe('memory that is reserved for a version', () => {
  it('is what the package asks for until it was measured, or the size of its files', () => {
    expect([of(), of({ declaredBytes: null })]).toEqual([2_000, 10]);
  });

  it('is at most twice what was measured, whatever the package asks for', () => {
    expect(of({ measuredBytes: 70 })).toBe(140);
    expect(of({ measuredBytes: 1_500 })).toBe(2_000);
  });

  it('is not below the size of the files because a measurement saw nothing', () => {
    expect(of({ measuredBytes: 0 })).toBe(10);
  });

  it('is not below what is there to see, however little the package asks for: the size of its files, and what was measured', () => {
    expect(of({ declaredBytes: 0, fileBytes: 500 })).toBe(500);
    expect(of({ declaredBytes: 0, fileBytes: 500, measuredBytes: 3_000 })).toBe(3_000);
  });

  it('is what the package asks for where it runs on an accelerator, whose memory is not measured', () => {
    expect(of({ measuredBytes: 70, accelerator: 'cuda' })).toBe(2_000);
    expect(of({ measuredBytes: 70, accelerator: 'cpu' })).toBe(140);
  });
});
