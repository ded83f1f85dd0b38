import { describe, expect, it } from 'vitest';
import { entitiesOf, wordsOf, type ClassifiedToken } from './entities.ts';

const token = (label: string, start: number, end: number, score = 1): ClassifiedToken => ({ label, score, start, end });

// What transformers' pipeline answers for the same tokens.
describe('tokens that follow each other', () => {
  it('are one entity until a label begins another one, and its score is the mean', () => {
    const tokens = [token('B-PER', 0, 2, 0.9), token('I-PER', 2, 4, 0.5), token('B-PER', 5, 6), token('O', 7, 8), token('I-PER', 9, 10)];
    expect(entitiesOf(tokens)).toEqual([
      { label: 'PER', score: 0.7, start: 0, end: 4 },
      { label: 'PER', score: 1, start: 5, end: 6 },
      { label: 'PER', score: 1, start: 9, end: 10 },
    ]);
  });

  it('are joined by their label where it has no B- or I-', () => {
    expect(entitiesOf([token('NOUN', 0, 1), token('NOUN', 2, 3), token('VERB', 4, 5)]).map(({ start, end }) => [start, end])).toEqual([
      [0, 3],
      [4, 5],
    ]);
  });

  it('of another kind begin another entity also without B-', () => {
    expect(entitiesOf([token('B-PER', 0, 1), token('I-LOC', 2, 3)]).map(({ label }) => label)).toEqual(['PER', 'LOC']);
  });
});

describe('words', () => {
  const pieces = (text: string, parts: readonly string[]): string[] => {
    let at = 0;
    const tokens = parts.map((part) => {
      const start = text.indexOf(part, at);
      at = start + part.length;
      return token('B-PER', start, at);
    });
    return wordsOf(tokens, text).map(({ start, end }) => text.slice(start, end));
  };

  it('are what letters and digits make without a gap', () => {
    expect(pieces('Gemüt-lich 3D, ok', ['Ge', 'müt', '-', 'lich', '3', 'D', ',', 'ok'])).toEqual(['Gemüt', '-', 'lich', '3D', ',', 'ok']);
  });

  it('are single characters in scripts that put no space between words', () => {
    expect(pieces('東京に', ['東', '京', 'に'])).toEqual(['東', '京', 'に']);
  });
});
