import { describe, expect, it } from 'vitest';
import { BatchQueue } from './batch-queue.ts';
import { assertAdmitted } from './queue-admission.ts';
import { TenantClock } from './tenant-clock.ts';
import type { WaitingItem } from './waiting-item.ts';

const anItem = ({ tenantId = 'acme', ...over }: Partial<WaitingItem> & { readonly tenantId?: string } = {}): WaitingItem => ({
  feeds: [],
  outputs: [],
  rows: 1,
  length: 0,
  units: 1,
  key: 'same',
  caller: { tenantId, shapeClass: '0x0', elements: 1, runsAlone: false },
  priority: 'interactive',
  enqueuedAtMs: 0,
  started: () => undefined,
  isSettled: false,
  resolve: () => undefined,
  reject: () => undefined,
  ...over,
});
const aText = (length: number): WaitingItem => anItem({ length, units: length });

function queueOf(...items: WaitingItem[]): BatchQueue {
  const queue = new BatchQueue(new TenantClock());
  for (const item of items) queue.add(item);
  return queue;
}

const WIDE = { units: 1e9, rows: 1_000, perUnitMs: 0, perRunMs: 0 };

describe('the queue of a model', () => {
  it('gives all that waits as one batch, as far as the limits allow', () => {
    const items = [anItem(), anItem({ rows: 2, units: 2 }), anItem()];
    expect(queueOf(...items).take('interactive', WIDE)).toEqual(items);
    expect(queueOf(...items).take('interactive', { ...WIDE, units: 2 })).toEqual([items[0], items[2]]);
    expect(queueOf(...items).take('interactive', { ...WIDE, rows: 3 })).toEqual([items[0], items[1]]);
  });

  it('gives the first item also when it is larger than the limit', () => {
    const item = anItem({ rows: 50, units: 50 });
    expect(queueOf(item, anItem()).take('interactive', { ...WIDE, units: 10, rows: 10 })).toEqual([item]);
  });

  it('puts interactive work before batch work, and fills up with the latter', () => {
    const [late, early] = [anItem({ priority: 'batch' }), anItem()];
    expect(queueOf(late, early).take('interactive', { ...WIDE, units: 1, rows: 1 })).toEqual([early]);
    expect(queueOf(late, early).take('interactive', WIDE)).toEqual([early, late]);
  });

  it('never puts items together that do not fit together', () => {
    const items = [anItem({ key: 'a' }), anItem({ key: 'b' }), anItem({ key: 'a' })];
    expect(queueOf(...items).take('interactive', WIDE)).toEqual([items[0], items[2]]);
    const alone = [anItem({ key: null }), anItem({ key: null })];
    expect(queueOf(...alone).take('interactive', WIDE)).toEqual([alone[0]]);
  });

  it('batches texts of like lengths: at most a tenth of a run is padding', () => {
    const queue = queueOf(...[100, 16, 98, 17, 500, 95, 16].map(aText));
    const batches: number[][] = [];
    while (queue.size > 0) batches.push(queue.take('interactive', WIDE).map((item) => item.length));
    expect(batches).toEqual([[100, 98, 95], [16, 16, 17], [500]]);
    for (const lengths of batches) {
      const used = lengths.reduce((sum, length) => sum + length, 0);
      expect(1 - used / (lengths.length * Math.max(...lengths))).toBeLessThanOrEqual(0.1);
    }
  });

  it('pads no more than a run of its own would cost', () => {
    const queue = queueOf(...[100, 99, 97, 96, 103].map(aText));
    expect(queue.take('interactive', { ...WIDE, perUnitMs: 1, perRunMs: 3 }).map((item) => item.length)).toEqual([100, 99, 97]);
    expect(queue.take('interactive', { ...WIDE, perUnitMs: 1, perRunMs: 6 }).map((item) => item.length)).toEqual([96]);
    expect(queue.take('interactive', { ...WIDE, perUnitMs: 1, perRunMs: 0 }).map((item) => item.length)).toEqual([103]);
  });

  it('counts padded tokens against the limit, not texts', () => {
    const queue = queueOf(...[100, 100, 100, 100].map(aText));
    expect(queue.take('interactive', { ...WIDE, units: 250 })).toHaveLength(2);
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

/** A queue whose runs hold one item each and cost one millisecond a unit, and the tenants in the order in which they are served. */
function served(items: readonly WaitingItem[], clock = new TenantClock()): string[] {
  const queue = new BatchQueue(clock);
  for (const item of items) queue.add(item);
  const order: string[] = [];
  while (queue.size > 0) {
    for (const item of queue.take('interactive', { ...WIDE, rows: 1, perUnitMs: 1 })) {
      clock.charge(item.caller.tenantId, item.units);
      order.push(item.caller.tenantId);
    }
  }
  return order;
}
const many = (count: number, over: Parameters<typeof anItem>[0]): WaitingItem[] => Array.from({ length: count }, () => anItem(over));

describe('the queues of tenants', () => {
  it('are served in turn, whoever came first and with however many calls', () => {
    const order = served([...many(100, { tenantId: 'many' }), ...many(3, { tenantId: 'few' })]);
    expect(order.slice(0, 6)).toEqual(['many', 'few', 'many', 'few', 'many', 'few']);
  });

  it('are served by cost, not by the number of calls', () => {
    const order = served([...many(20, { tenantId: 'large', units: 10 }), ...many(100, { tenantId: 'small', units: 1 })]);
    const first = order.slice(0, 55);
    expect(first.filter((tenant) => tenant === 'small').length).toBeGreaterThanOrEqual(45);
  });

  it('do not save up the time for which they were idle', () => {
    const clock = new TenantClock();
    served(many(50, { tenantId: 'busy' }), clock);
    const order = served([...many(10, { tenantId: 'idle' }), ...many(10, { tenantId: 'busy' })], clock);
    expect(order.slice(0, 6).filter((tenant) => tenant === 'busy').length).toBeGreaterThanOrEqual(2);
  });

  it('fill a batch in turn too, and a tenant whose item joins the run of another is charged for it', () => {
    const clock = new TenantClock();
    const queue = new BatchQueue(clock);
    for (const item of [...many(100, { tenantId: 'many' }), ...many(4, { tenantId: 'few' })]) queue.add(item);
    const batch = queue.take('interactive', { ...WIDE, rows: 8, perUnitMs: 1 });
    expect(batch.filter(({ caller }) => caller.tenantId === 'few')).toHaveLength(4);
  });

  it('leave no trace of tenants that have become idle', () => {
    const clock = new TenantClock();
    served(
      Array.from({ length: 5_000 }, (_, index) => anItem({ tenantId: `tenant-${index}` })),
      clock,
    );
    clock.charge('last', 1);
    clock.reset();
    expect(clock.size).toBe(0);
    for (let index = 0; index < 5_000; index++) {
      clock.began('busy');
      clock.charge('busy', 2);
      clock.charge(`once-${index}`, 1);
    }
    expect(clock.size).toBeLessThan(200);
  });

  it('put an item whose shared run failed back to the head of its own queue', () => {
    const [first, second] = [anItem(), anItem()];
    const queue = queueOf(second);
    queue.addFirst(first);
    expect(queue.take('interactive', { ...WIDE, rows: 1 })).toEqual([first]);
  });
});

describe('the admission of a tenant', () => {
  const limits = { queueLength: 100, queueWaitMs: 1_000 };
  const filledBy = (tenantId: string, queue: BatchQueue): number => {
    let items = 0;
    try {
      for (;;) {
        assertAdmitted(queue, limits, tenantId, 0);
        queue.add(anItem({ tenantId }));
        items++;
      }
    } catch {
      return items;
    }
  };

  it('takes four fifths of the queue at most, and leaves each of those who follow half of an equal share or more', () => {
    const queue = queueOf();
    const shares = ['a', 'b', 'c', 'd'].map((tenantId) => filledBy(tenantId, queue));
    expect(shares).toEqual([80, 25, 17, 13]);
    expect(() => assertAdmitted(queue, limits, 'newcomer', 0)).not.toThrow();
  });

  it('is refused nothing because large calls of another tenant have overrun the queue', () => {
    const queue = queueOf(...many(1_500, { tenantId: 'large' }));
    expect(filledBy('other', queue)).toBe(25);
    expect(() => assertAdmitted(queue, limits, 'large', 0)).toThrow();
  });

  it('expects the wait that its own queue has, not that of another tenant', () => {
    const queue = queueOf(...many(1_000, { tenantId: 'many', units: 10 }), ...many(2, { tenantId: 'few', units: 10 }));
    expect(queue.unitsAhead('few', 'interactive', 10)).toBe(20 + 30);
    expect(queue.unitsAhead('newcomer', 'interactive', 10)).toBe(20);
    expect(queue.unitsAhead('many', 'interactive', 10)).toBe(10_000 + 20);
  });

  it('does not wait for batch work with interactive work', () => {
    const queue = queueOf(...many(100, { priority: 'batch' }));
    expect(queue.unitsAhead('acme', 'interactive', 1)).toBe(0);
    expect(queue.unitsAhead('acme', 'batch', 1)).toBe(100);
  });
});
