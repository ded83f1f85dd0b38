import type { Turns } from '../turns.ts';

// From a map of probabilities to boxes around lines of text, as "Real-time Scene Text Detection with Differentiable Binarization"
// (Liao et al., AAAI 2020) and PaddleOCR do it. PaddleOCR follows contours and offsets polygons by general libraries; only the
// smallest rectangle around a component is wanted, for which the ends of its rows are enough, and a rectangle grown on all sides
// is again a rectangle. That is small enough to stand here without OpenCV (10 MB of WebAssembly).

/** Where the network is more certain than this, there is text. */
const TEXT_PROBABILITY = 0.3;
/** Least mean probability inside a region. */
const LEAST_REGION_SCORE = 0.6;
/**
 * The network marks the core of a line: a region grows by area × this ÷ perimeter on each side. PaddleOCR says 1.5; its rectangles
 * are a little larger by rounding, and the recogniser misses spaces and first letters in tighter ones (on 120 drawn lines 26 wrong
 * characters with 1.5, 11 with 2, 13 with 2.3).
 */
const GROWTH = 2;
/** Shorter edge of a core that counts, in cells of the map; of a grown region two more. */
const LEAST_CORE_EDGE = 3;
/** Regions that are looked at in one picture, and stretches of cells that they are made of. */
const MAX_REGIONS = 1_000;
const MAX_RUNS = 500_000;
/** A region this many times as high as wide holds a line that was turned by a quarter, clockwise. */
const TALL_RATIO = 1.5;

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Clockwise from the top left corner of the text, which is another one than that of the picture when the text is turned. */
export type Corners = readonly [Point, Point, Point, Point];

/** A rectangle around a line of text. */
export interface TextRegion {
  readonly corners: Corners;
  /** Mean probability that its cells are text. */
  readonly score: number;
}

/** A rectangle in any direction. */
interface TurnedRectangle {
  readonly centre: Point;
  /** Direction of the first edge, a unit vector. */
  readonly along: Point;
  /** Lengths along that direction and across it. */
  readonly length: number;
  readonly breadth: number;
}

/**
 * Regions of text in what a detector gave, in cells of its map.
 *
 * @param probabilities `height × width`, row by row
 */
export async function textRegions(probabilities: Float32Array, width: number, height: number, turns: Turns): Promise<TextRegion[]> {
  const regions: TextRegion[] = [];
  for (const points of await components(probabilities, width, height, turns)) {
    if (turns.isOver) await turns.next();
    const core = smallestRectangle(convexHull(points));
    if (Math.min(core.length, core.breadth) < LEAST_CORE_EDGE) continue;
    const score = meanInside(probabilities, width, height, cornersOf(core));
    if (!(score >= LEAST_REGION_SCORE)) continue;
    const grown = grow(core, (core.length * core.breadth * GROWTH) / (2 * (core.length + core.breadth)));
    if (Math.min(grown.length, grown.breadth) < LEAST_CORE_EDGE + 2) continue;
    regions.push({ corners: inReadingDirection(cornersOf(grown)), score });
  }
  return regions;
}

/** The ends of the rows of each connected component (a corner connects), row by row; at most `MAX_REGIONS` components. */
async function components(probabilities: Float32Array, width: number, height: number, turns: Turns): Promise<Point[][]> {
  const rows: number[] = [];
  const starts: number[] = [];
  const ends: number[] = [];
  /** Each run's way to the first run of its component. */
  const parents: number[] = [];
  const rootOf = (run: number): number => {
    let root = run;
    for (let parent = parents[root] ?? root; parent !== root; parent = parents[root] ?? root) root = parent;
    for (let at = run; at !== root;) {
      const parent = parents[at] ?? root;
      parents[at] = root;
      at = parent;
    }
    return root;
  };
  let above = 0;
  for (let y = 0; y < height && starts.length < MAX_RUNS; y++) {
    if (turns.isOver) await turns.next();
    const first = starts.length;
    let before = above;
    for (let x = 0, cell = y * width; x < width; x++, cell++) {
      if (!((probabilities[cell] ?? 0) > TEXT_PROBABILITY)) continue;
      const start = x;
      while (x + 1 < width && (probabilities[cell + 1] ?? 0) > TEXT_PROBABILITY) {
        x++;
        cell++;
      }
      const run = starts.length;
      rows.push(y);
      starts.push(start);
      ends.push(x);
      parents.push(run);
      while (before < first && (ends[before] ?? 0) < start - 1) before++;
      for (let other = before; other < first && (starts[other] ?? 0) <= x + 1; other++) {
        const [one, two] = [rootOf(other), rootOf(run)];
        parents[Math.max(one, two)] = Math.min(one, two);
      }
    }
    above = first;
  }
  const found = new Map<number, Point[]>();
  for (let run = 0; run < starts.length; run++) {
    if (run % 1_024 === 0 && turns.isOver) await turns.next();
    const root = rootOf(run);
    let points = found.get(root);
    if (points === undefined) {
      if (found.size === MAX_REGIONS) continue;
      found.set(root, (points = []));
    }
    const y = rows[run] ?? 0;
    points.push({ x: starts[run] ?? 0, y });
    if (ends[run] !== starts[run]) points.push({ x: ends[run] ?? 0, y });
  }
  return [...found.values()];
}

/** The corners of the smallest convex polygon around points that are sorted by y, then x (Andrew's monotone chain). */
export function convexHull(points: readonly Point[]): Point[] {
  const half = (sorted: Iterable<Point>): Point[] => {
    const chain: Point[] = [];
    for (const point of sorted) {
      for (;;) {
        const [b, a] = [chain.at(-1), chain.at(-2)];
        if (a === undefined || b === undefined || (b.x - a.x) * (point.y - a.y) - (b.y - a.y) * (point.x - a.x) > 0) break;
        chain.pop();
      }
      chain.push(point);
    }
    chain.pop();
    return chain;
  };
  return points.length < 3 ? [...points] : [...half(points), ...half(points.toReversed())];
}

/** The rectangle of least area around a convex polygon: one of its edges lies on one of the polygon's. */
export function smallestRectangle(hull: readonly Point[]): TurnedRectangle {
  let best: TurnedRectangle = { centre: hull[0] ?? { x: 0, y: 0 }, along: { x: 1, y: 0 }, length: 0, breadth: 0 };
  let bestArea = Infinity;
  for (const [index, from] of hull.entries()) {
    const to = hull[(index + 1) % hull.length] ?? from;
    const edge = Math.hypot(to.x - from.x, to.y - from.y);
    if (edge === 0) continue;
    const along = { x: (to.x - from.x) / edge, y: (to.y - from.y) / edge };
    let [least, most, near, far] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const point of hull) {
      const u = point.x * along.x + point.y * along.y;
      const v = point.y * along.x - point.x * along.y;
      least = Math.min(least, u);
      most = Math.max(most, u);
      near = Math.min(near, v);
      far = Math.max(far, v);
    }
    const area = (most - least) * (far - near);
    if (area >= bestArea) continue;
    bestArea = area;
    const [u, v] = [(least + most) / 2, (near + far) / 2];
    const centre = { x: u * along.x - v * along.y, y: u * along.y + v * along.x };
    best = { centre, along, length: most - least, breadth: far - near };
  }
  return best;
}

function grow(rectangle: TurnedRectangle, distance: number): TurnedRectangle {
  return { ...rectangle, length: rectangle.length + 2 * distance, breadth: rectangle.breadth + 2 * distance };
}

/** In order around the rectangle, clockwise as pictures are drawn (y downwards). */
function cornersOf({ centre, along, length, breadth }: TurnedRectangle): Corners {
  const at = (u: number, v: number): Point => ({
    x: centre.x + (u * length * along.x) / 2 - (v * breadth * along.y) / 2,
    y: centre.y + (u * length * along.y) / 2 + (v * breadth * along.x) / 2,
  });
  return [at(-1, -1), at(1, -1), at(1, 1), at(-1, 1)];
}

/** The same corners, beginning with the one at which the text begins. */
export function inReadingDirection(corners: Corners): Corners {
  // The upper edge is the one that leads most to the right.
  let first = 0;
  let steepest = -Infinity;
  for (const [index, corner] of corners.entries()) {
    const next = corners[(index + 1) % 4] ?? corner;
    const cosine = (next.x - corner.x) / Math.hypot(next.x - corner.x, next.y - corner.y);
    if (cosine <= steepest) continue;
    steepest = cosine;
    first = index;
  }
  const from = (start: number): Corners => {
    const at = (offset: number): Point => corners[(start + offset) % 4] ?? corners[0];
    return [at(0), at(1), at(2), at(3)];
  };
  const upright = from(first);
  const { width, height } = sizeOf(upright);
  return height >= width * TALL_RATIO ? from(first + 1) : upright;
}

/** The same line, if its text stands on its head. */
export function upsideDown([a, b, c, d]: Corners): Corners {
  return [c, d, a, b];
}

/** Length of a region along its text, and height of the text. */
export function sizeOf([topLeft, topRight, , bottomLeft]: Corners): { readonly width: number; readonly height: number } {
  return {
    width: Math.hypot(topRight.x - topLeft.x, topRight.y - topLeft.y),
    height: Math.hypot(bottomLeft.x - topLeft.x, bottomLeft.y - topLeft.y),
  };
}

/** Mean of the cells whose centres lie in a convex polygon, its edges included. */
function meanInside(cells: Float32Array, width: number, height: number, polygon: Corners): number {
  const ys = polygon.map((point) => point.y);
  const top = Math.max(0, Math.ceil(Math.min(...ys)));
  const bottom = Math.min(height - 1, Math.floor(Math.max(...ys)));
  let sum = 0;
  let count = 0;
  for (let y = top; y <= bottom; y++) {
    let [left, right] = [Infinity, -Infinity];
    for (const [index, a] of polygon.entries()) {
      const b = polygon[(index + 1) % polygon.length] ?? a;
      if (Math.min(a.y, b.y) > y || Math.max(a.y, b.y) < y) continue;
      const ends = a.y === b.y ? [a.x, b.x] : [a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x)];
      left = Math.min(left, ...ends);
      right = Math.max(right, ...ends);
    }
    for (let x = Math.max(0, Math.ceil(left)); x <= Math.min(width - 1, Math.floor(right)); x++) {
      sum += cells[y * width + x] ?? 0;
      count++;
    }
  }
  return count === 0 ? 0 : sum / count;
}

/**
 * Puts regions in the order in which they are read: rows from top to bottom, each from left to right, as most of the text runs (a
 * picture may be tilted). Two regions stand in one row when each one's middle lies between the other's top and bottom.
 */
export function inReadingOrder<T extends { readonly corners: Corners }>(regions: readonly T[]): T[] {
  let [towardsX, towardsY] = [0, 0];
  for (const { corners } of regions) {
    towardsX += corners[1].x - corners[0].x;
    towardsY += corners[1].y - corners[0].y;
  }
  const tilt = Math.atan2(towardsY, towardsX);
  const [cosine, sine] = [Math.cos(tilt), Math.sin(tilt)];
  const placed = regions.map((region) => {
    const along = region.corners.map(({ x, y }) => x * cosine + y * sine);
    const down = region.corners.map(({ x, y }) => y * cosine - x * sine);
    const [top, bottom] = [Math.min(...down), Math.max(...down)];
    return { region, top, bottom, middle: (top + bottom) / 2, left: Math.min(...along) };
  });
  const rows: (typeof placed)[] = [];
  for (const one of placed.toSorted((a, b) => a.middle - b.middle)) {
    const row = rows.findLast((others) =>
      others.every((other) => one.middle > other.top && one.middle < other.bottom && other.middle > one.top && other.middle < one.bottom),
    );
    if (row === undefined) rows.push([one]);
    else row.push(one);
  }
  return rows.flatMap((row) => row.toSorted((a, b) => a.left - b.left).map((one) => one.region));
}
