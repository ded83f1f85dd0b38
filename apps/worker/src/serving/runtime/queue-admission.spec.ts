import { describe, expect, it } from 'vitest';
import { assertAdmitted } from './queue-admission.ts';

const LIMITS = { queueLength: 10, queueWaitMs: 1_000 };

/** A queue as admission sees it: items by tenant. */
function admitted(waiting: Readonly<Record<string, number>>, tenantId: string, expectedWaitMs = 0): boolean {
  const size = Object.values(waiting).reduce((sum, count) => sum + count, 0);
  const queue = { size, tenants: Object.keys(waiting).length, sizeOf: (id: string) => waiting[id] ?? 0 };
  try {
    assertAdmitted(queue as unknown as Parameters<typeof assertAdmitted>[0], LIMITS, tenantId, expectedWaitMs);
    return true;
  } catch {
    return false;
  }
}

describe('a call is let into the queue', () => {
  it('up to the maximum estimated delay of its tenant, and not beyond', () => {
    expect(admitted({}, 'acme', 1_000)).toBe(true);
    expect(admitted({}, 'acme', 1_001)).toBe(false);
  });

  it('while its tenant has less than four times the free room', () => {
    expect(admitted({ acme: 7 }, 'acme')).toBe(true);
    expect(admitted({ acme: 8 }, 'acme')).toBe(false);
  });

  it('by its guaranteed share also where other tenants have overrun the queue', () => {
    expect(admitted({ globex: 40 }, 'acme')).toBe(true);
    expect(admitted({ globex: 40, acme: 2 }, 'acme')).toBe(true);
    expect(admitted({ globex: 40, acme: 3 }, 'acme')).toBe(false);
  });

  it('of no further tenant than there are places', () => {
    const waiting = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`tenant-${n}`, 1]));
    expect(admitted(waiting, 'one-more')).toBe(false);
    expect(admitted(Object.fromEntries(Object.entries(waiting).slice(1)), 'one-more')).toBe(true);
  });
});
