import { describe, expect, it } from 'vitest';
import { Turns } from '../turns.ts';
import { convexHull, inReadingOrder, smallestRectangle, textRegions, upsideDown, type Corners, type Point } from './text-regions.ts';

const turns = new Turns(new AbortController().signal);

/** A map in which the cells that `isText` says are certain ones. */
function aMap(width: number, height: number, isText: (x: number, y: number) => boolean, certainty = 0.9): Float32Array {
  return Float32Array.from({ length: width * height }, (_, cell) => (isText(cell % width, Math.floor(cell / width)) ? certainty : 0.01));
}

/** Is a cell inside a rectangle that is turned about its middle (degrees, clockwise)? */
function insideTurned(x: number, y: number, centre: Point, width: number, height: number, degrees: number): boolean {
  const angle = (degrees * Math.PI) / 180;
  const [dx, dy] = [x - centre.x, y - centre.y];
  return (
    Math.abs(dx * Math.cos(angle) + dy * Math.sin(angle)) <= width / 2 &&
    Math.abs(dy * Math.cos(angle) - dx * Math.sin(angle)) <= height / 2
  );
}

const degreesOf = ([start, end]: Corners): number => (Math.atan2(end.y - start.y, end.x - start.x) * 180) / Math.PI;
const middleOf = ([a, , c]: Corners): Point => ({ x: (a.x + c.x) / 2, y: (a.y + c.y) / 2 });
const box = (left: number, top: number, width: number, height: number): { corners: Corners } => ({
  corners: [
    { x: left, y: top },
    { x: left + width, y: top },
    { x: left + width, y: top + height },
    { x: left, y: top + height },
  ],
});

describe('regions of text', () => {
  it('grow around the core that the network marks by its area and its outline', async () => {
    // From 20 to 60 and from 10 to 18: area 320, outline 96, so 320 × 2 ÷ 96 on each side.
    const [region, ...others] = await textRegions(
      aMap(100, 40, (x, y) => x >= 20 && x <= 60 && y >= 10 && y <= 18),
      100,
      40,
      turns,
    );
    const growth = (320 * 2) / 96;
    expect(others).toEqual([]);
    expect(region?.score).toBeCloseTo(0.9);
    const [topLeft, , bottomRight] = region?.corners ?? [];
    expect(topLeft?.x).toBeCloseTo(20 - growth);
    expect(topLeft?.y).toBeCloseTo(10 - growth);
    expect(bottomRight?.x).toBeCloseTo(60 + growth);
    expect(bottomRight?.y).toBeCloseTo(18 + growth);
  });

  it.each([[0], [7], [30], [44], [-20], [90], [75]])('are found in text that is turned by %d degrees', async (degrees) => {
    const centre = { x: 100, y: 100 };
    const [region, ...others] = await textRegions(
      aMap(200, 200, (x, y) => insideTurned(x, y, centre, 120, 14, degrees)),
      200,
      200,
      turns,
    );
    expect(others).toEqual([]);
    const corners = region?.corners ?? box(0, 0, 0, 0).corners;
    expect(degreesOf(corners)).toBeCloseTo(degrees, -0.5);
    expect(middleOf(corners).x).toBeCloseTo(100, -0.3);
    expect(middleOf(corners).y).toBeCloseTo(100, -0.3);
  });

  it('that touch at a corner are one, and those with a gap between them are two', async () => {
    const touching = aMap(60, 60, (x, y) => (x >= 10 && x < 30 && y >= 10 && y < 30) || (x >= 30 && x < 50 && y >= 30 && y < 50));
    // One component: its smallest rectangle is mostly empty, so its score is low.
    expect(await textRegions(touching, 60, 60, turns)).toHaveLength(0);
    const apart = aMap(60, 60, (x, y) => x >= 10 && x < 50 && ((y >= 10 && y < 20) || (y >= 30 && y < 40)));
    expect(await textRegions(apart, 60, 60, turns)).toHaveLength(2);
  });

  it('of any outline are one where all their parts hang together', async () => {
    // A comb: its teeth meet in the last row only.
    const comb = aMap(40, 20, (x, y) => y >= 4 && y <= 14 && x >= 4 && x <= 34 && (x % 3 !== 0 || y === 14));
    expect(await textRegions(comb, 40, 20, turns)).toHaveLength(1);
  });

  it('are not made of specks, of what the network doubts, or of what is no number', async () => {
    expect(
      await textRegions(
        aMap(40, 40, (x, y) => x < 2 && y < 2),
        40,
        40,
        turns,
      ),
    ).toEqual([]);
    expect(
      await textRegions(
        aMap(40, 40, (x, y) => x < 20 && y < 20, 0.5),
        40,
        40,
        turns,
      ),
    ).toEqual([]);
    expect(await textRegions(new Float32Array(1_600).fill(Number.NaN), 40, 40, turns)).toEqual([]);
  });

  it('are at most a thousand in a picture, and noise is looked at no longer than needed', async () => {
    const dots = aMap(1_000, 1_000, (x, y) => x % 10 < 5 && y % 10 < 5);
    expect((await textRegions(dots, 1_000, 1_000, turns)).length).toBeLessThanOrEqual(1_000);
  });

  it('begin where the text begins: at the top right where it runs downwards', async () => {
    const [region] = await textRegions(
      aMap(60, 200, (x, y) => x >= 20 && x <= 32 && y >= 20 && y <= 180),
      60,
      200,
      turns,
    );
    const [start, end] = region?.corners ?? [];
    expect(start?.x).toBeGreaterThan(32);
    expect(start?.y).toBeLessThan(20);
    expect(end?.x).toBe(start?.x);
    expect(end?.y).toBeGreaterThan(180);
  });
});

describe('the smallest rectangle', () => {
  it('around a turned square is the square', () => {
    const square = [
      { x: 5, y: 0 },
      { x: 0, y: 5 },
      { x: 10, y: 5 },
      { x: 5, y: 10 },
    ];
    const { length, breadth, centre } = smallestRectangle(convexHull(square));
    expect(length * breadth).toBeCloseTo(50);
    expect(centre.x).toBeCloseTo(5);
    expect(centre.y).toBeCloseTo(5);
  });

  it('around one point or a line has no breadth', () => {
    expect(smallestRectangle(convexHull([{ x: 3, y: 4 }]))).toMatchObject({ length: 0, breadth: 0 });
    const line = Array.from({ length: 9 }, (_, x) => ({ x, y: 2 }));
    expect(smallestRectangle(convexHull(line))).toMatchObject({ length: 8, breadth: 0 });
  });
});

describe('the reading order', () => {
  const order = (boxes: readonly { corners: Corners }[], sorted = inReadingOrder(boxes)): number[] =>
    sorted.map((one) => boxes.findIndex((other) => other.corners === one.corners));

  it('is by rows, and from left to right in a row, though its boxes differ in height', () => {
    expect(order([box(200, 12, 50, 20), box(0, 40, 50, 10), box(0, 10, 50, 26), box(100, 16, 50, 14)])).toEqual([2, 3, 0, 1]);
  });

  it('follows the text where the picture is tilted', () => {
    const tilted = (left: number, top: number, degrees: number): { corners: Corners } => {
      const angle = (degrees * Math.PI) / 180;
      const turned = ({ x, y }: Point): Point => ({
        x: x * Math.cos(angle) - y * Math.sin(angle),
        y: y * Math.cos(angle) + x * Math.sin(angle),
      });
      const [a, b, c, d] = box(left, top, 80, 20).corners;
      return { corners: [turned(a), turned(b), turned(c), turned(d)] };
    };
    for (const degrees of [-30, 10, 30, 90, 180])
      expect(order([tilted(0, 30, degrees), tilted(300, 0, degrees), tilted(0, 0, degrees), tilted(300, 30, degrees)])).toEqual([
        2, 1, 0, 3,
      ]);
  });

  it('of nothing is nothing', () => {
    expect(inReadingOrder([])).toEqual([]);
  });

  it('of a text on its head begins at its end', () => {
    const [a, , c] = upsideDown(box(0, 0, 10, 5).corners);
    expect([a, c]).toEqual([
      { x: 10, y: 5 },
      { x: 0, y: 0 },
    ]);
  });
});
