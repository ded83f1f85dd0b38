import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assertJsonDepth } from './json-depth.ts';

const depthOf = (value: unknown): number =>
  typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0;

const isRefused = (json: string, maxDepth: number): boolean => {
  try {
    assertJsonDepth(Buffer.from(json), maxDepth);
    return false;
  } catch {
    return true;
  }
};

describe('the nesting of JSON', () => {
  it('is refused exactly when it is deeper than the limit, whatever strings and keys hold', () => {
    const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('\\', '"', '[', '{', 'é', ']'), maxLength: 80 }));
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 7 },
        text,
        fc.integer(),
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(text, tie('tree'), { maxKeys: 2 }),
      ),
    }));
    fc.assert(
      fc.property(tree, fc.integer({ min: 1, max: 6 }), fc.boolean(), (value, maxDepth, isSpaced) => {
        expect(isRefused(JSON.stringify(value, null, isSpaced ? 2 : 0), maxDepth)).toBe(depthOf(value) > maxDepth);
      }),
    );
  });

  it('is refused by its first brackets, without reading the rest', () => {
    const bracketsRead: number[] = [];
    const endless = new Proxy(Buffer.alloc(0), {
      get: (_, name) => {
        if (name === 'length') return Infinity;
        if (name === 'indexOf') return (_byte: number, from = 0) => from;
        bracketsRead.push(Number(name));
        return '['.charCodeAt(0);
      },
    });
    expect(() => assertJsonDepth(endless, 64)).toThrowError(expect.objectContaining({ code: 'request.invalid' }));
    expect(bracketsRead).toHaveLength(65);
  });
});
