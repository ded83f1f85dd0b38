import { describe, expect, it } from 'vitest';
import { BatchQueue } from './batch-queue.ts';
import type { WaitingItem } from './waiting-item.ts';

const anItem = (over: Partial<WaitingItem> = {}): WaitingItem => ({
  feeds: [],
  outputs: [],
  rows: 1,
  length: 0,
  units: 1,
  key: 'same',
  caller: { tenantId: 'acme', shapeClass: '0x0', elements: 1, runsAlone: false },
  priority: 'interactive',
  enqueuedAtMs: 0,
  started: () => undefined,
  resolve: () => undefined,
  reject: () => undefined,
  ...over,
});
const aText = (length: number): WaitingItem => anItem({ length, units: length });

function queueOf(...items: WaitingItem[]): BatchQueue {
  const queue = new BatchQueue();
  for (const item of items) queue.add(item);
  return queue;
}

const WIDE = { units: 1e9, rows: 1_000, paddingUnits: Infinity };

describe('the queue of a model', () => {
  it('gives all that waits as one batch, as far as the limits allow', () => {
    const items = [anItem(), anItem({ rows: 2, units: 2 }), anItem()];
    expect(queueOf(...items).take(WIDE)).toEqual(items);
    expect(queueOf(...items).take({ ...WIDE, units: 2 })).toEqual([items[0], items[2]]);
    expect(queueOf(...items).take({ ...WIDE, rows: 3 })).toEqual([items[0], items[1]]);
  });

  it('gives the first item also when it is larger than the limit', () => {
    const item = anItem({ rows: 50, units: 50 });
    expect(queueOf(item, anItem()).take({ ...WIDE, units: 10, rows: 10 })).toEqual([item]);
  });

  it('puts interactive work before batch work, and fills up with the latter', () => {
    const [late, early] = [anItem({ priority: 'batch' }), anItem()];
    expect(queueOf(late, early).take({ ...WIDE, units: 1, rows: 1 })).toEqual([early]);
    expect(queueOf(late, early).take(WIDE)).toEqual([early, late]);
  });

  it('never puts items together that cannot be joined', () => {
    const items = [anItem({ key: 'a' }), anItem({ key: 'b' }), anItem({ key: 'a' })];
    expect(queueOf(...items).take(WIDE)).toEqual([items[0], items[2]]);
    const alone = [anItem({ key: null }), anItem({ key: null })];
    expect(queueOf(...alone).take(WIDE)).toEqual([alone[0]]);
  });

  it('batches texts of like lengths: at most a tenth of a run is padding', () => {
    const queue = queueOf(...[100, 16, 98, 17, 500, 95, 16].map(aText));
    const batches: number[][] = [];
    while (queue.size > 0) batches.push(queue.take(WIDE).map((item) => item.length));
    expect(batches).toEqual([[100, 98, 95], [16, 16, 17], [500]]);
    for (const lengths of batches) {
      const used = lengths.reduce((sum, length) => sum + length, 0);
      expect(1 - used / (lengths.length * Math.max(...lengths))).toBeLessThanOrEqual(0.1);
    }
  });

  it('pads no more than a run of its own would cost', () => {
    const queue = queueOf(...[100, 99, 97, 96, 103].map(aText));
    expect(queue.take({ ...WIDE, paddingUnits: 3 }).map((item) => item.length)).toEqual([100, 99, 97]);
    expect(queue.take({ ...WIDE, paddingUnits: 6 }).map((item) => item.length)).toEqual([96]);
    expect(queue.take({ ...WIDE, paddingUnits: 0 }).map((item) => item.length)).toEqual([103]);
  });

  it('counts padded tokens against the limit, not texts', () => {
    const queue = queueOf(...[100, 100, 100, 100].map(aText));
    expect(queue.take({ ...WIDE, units: 250 })).toHaveLength(2);
  });

  it('forgets what is removed, and tells what waits', () => {
    const item = anItem({ units: 5 });
    const queue = queueOf(item, anItem());
    expect(queue.units).toBe(6);
    expect(queue.remove(item)).toBe(true);
    expect(queue.remove(item)).toBe(false);
    expect([queue.size, queue.units]).toEqual([1, 1]);
  });
});
