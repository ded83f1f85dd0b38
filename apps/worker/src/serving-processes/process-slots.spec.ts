import { describe, expect, it } from 'vitest';
import { slotFor, type RunningProcess } from './process-slots.ts';

const limits = { maxProcesses: 4, maxOfTrustClass: 2, reserved: 'platform' };
const running = (trustClass: string, idleMs: number, over: Partial<RunningProcess> = {}): RunningProcess => ({
  key: `class ${trustClass}`,
  trustClass,
  isBusy: false,
  idleMs,
  ...over,
});
const OURS = running('platform', 60_000);

describe('a slot for another serving process', () => {
  it('is free while fewer than the limit run', () => {
    expect(slotFor('acme', [OURS, running('a', 0), running('b', 0)], limits)).toEqual({ kind: 'free' });
  });

  it('is that of the process that was not used for longest, when all are taken', () => {
    const all = [OURS, running('a', 5_000), running('b', 9_000), running('c', 7_000)];
    expect(slotFor('acme', all, limits)).toEqual({ kind: 'stop', key: 'class b' });
  });

  it('is not taken from a process that is busy, or was called a moment ago', () => {
    const all = [OURS, running('a', 60_000, { isBusy: true }), running('b', 1_000), running('c', 500)];
    expect(slotFor('acme', all, limits)).toEqual({ kind: 'full' });
  });

  it('is never taken from public models, and always there for them: one is kept free until their process runs', () => {
    const tenants = [running('a', 0), running('b', 0), running('c', 0)];
    expect(slotFor('acme', tenants, limits)).toEqual({ kind: 'full' });
    expect(slotFor('platform', tenants, limits)).toEqual({ kind: 'free' });
    expect(slotFor('acme', [OURS, ...tenants], limits)).toEqual({ kind: 'full' });
  });

  it('for public models is that of a tenant, and one of their own only where no tenant can make room', () => {
    const all = [OURS, running('a', 5_000), running('b', 0), running('c', 0)];
    expect(slotFor('platform', all, limits)).toEqual({ kind: 'stop', key: 'class a' });
    expect(
      slotFor(
        'platform',
        all.map((one) => (one === OURS ? one : { ...one, isBusy: true })),
        limits,
      ),
    ).toEqual({ kind: 'stop', key: 'class platform' });
  });

  it('beyond its own limit a tenant takes from itself alone', () => {
    const own = [running('acme', 3_000), running('acme', 8_000, { key: 'version 7' })];
    expect(slotFor('acme', [OURS, ...own], limits)).toEqual({ kind: 'stop', key: 'version 7' });
    expect(
      slotFor(
        'acme',
        own.map((one) => ({ ...one, isBusy: true })),
        limits,
      ),
    ).toEqual({ kind: 'full' });
  });

  it('is there for a tenant where the limit is one process', () => {
    expect(slotFor('acme', [], { ...limits, maxProcesses: 1 })).toEqual({ kind: 'free' });
  });
});
