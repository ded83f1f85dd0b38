import { describe, expect, it } from 'vitest';
import { Turns } from '../turns.ts';
import { anchorLayout, detectionsOfAnchors } from './anchors.ts';
import { intersectionOverUnion, MAX_DETECTIONS, withoutDuplicates, type Detection } from './boxes.ts';

const turns = new Turns(new AbortController().signal);

function aDetection(over: Partial<Detection> = {}): Detection {
  return { label: 0, score: 0.9, left: 0, top: 0, right: 10, bottom: 10, ...over };
}

describe('the sizes of what a network gives', () => {
  it.each([
    [[1, 84, 8400], 80, { kind: 'classes', anchorAxis: 2 }],
    [[1, 8400, 84], 80, { kind: 'classes', anchorAxis: 1 }],
    [[1, 25_200, 85], 80, { kind: 'objectness', anchorAxis: 1 }],
    [[1, 85, 25_200], 80, { kind: 'objectness', anchorAxis: 2 }],
    [[1, 300, 6], 80, { kind: 'final', anchorAxis: 1 }],
    [[1, 25_200, 6], 1, { kind: 'objectness', anchorAxis: 1 }],
    [[1, 84, 8400], 0, { kind: 'classes', anchorAxis: 2 }],
    [[1, 25_200, 85], 0, { kind: 'objectness', anchorAxis: 1 }],
    [[1, 300, 6], 0, { kind: 'final', anchorAxis: 1 }],
    [[1, 100, 7], 80, null],
    [[1, 4, 100], 0, null],
  ])('%j for %d labels mean %j', (dims, labels, layout) => {
    expect(anchorLayout(dims, labels)).toEqual(layout);
  });
});

describe('boxes', () => {
  it('that a network gives without duplicates are taken as they are', async () => {
    const data = [1, 2, 3, 4, 0.9, 7, 5, 6, 7, 8, 0.2, 1];
    const { detections } = await detectionsOfAnchors({ dims: [1, 2, 6], data }, 80, 0.5, turns);
    expect(detections).toEqual([{ label: 7, score: 0.9, left: 1, top: 2, right: 3, bottom: 4 }]);
  });

  it('overlap by what they share of what both cover', () => {
    expect(intersectionOverUnion(aDetection(), aDetection({ left: 5, right: 15 }))).toBeCloseTo(50 / 150);
    expect(intersectionOverUnion(aDetection(), aDetection())).toBe(1);
    expect(intersectionOverUnion(aDetection(), aDetection({ left: 10, right: 20 }))).toBe(0);
    expect(intersectionOverUnion(aDetection({ right: 0 }), aDetection({ right: 0 }))).toBe(0);
  });

  it('of the same class that overlap too much are one, the most certain; a chain of them may be two', async () => {
    const chain = [
      aDetection({ score: 0.7 }),
      aDetection({ score: 0.9, left: 3, right: 13 }),
      aDetection({ score: 0.8, left: 6, right: 16 }),
      aDetection({ score: 0.6, label: 1 }),
    ];
    const kept = await withoutDuplicates(chain, 0.5, turns);
    expect(kept.map(({ score }) => score)).toEqual([0.9, 0.6]);
    expect((await withoutDuplicates(chain, 0.6, turns)).map(({ score }) => score)).toEqual([0.9, 0.8, 0.7, 0.6]);
  });

  it('in an answer are at most three hundred, however many there are', async () => {
    const many = Array.from({ length: 100_000 }, (_, index) =>
      aDetection({ left: index * 20, right: index * 20 + 10, score: 1 / (index + 1) }),
    );
    const kept = await withoutDuplicates(many, 0.5, turns);
    expect(kept).toHaveLength(MAX_DETECTIONS);
    expect(kept[0]?.score).toBe(1);
  });
});
