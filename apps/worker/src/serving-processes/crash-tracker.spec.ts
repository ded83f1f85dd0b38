import { describe, expect, it } from 'vitest';
import type { Flight } from '../serving/versions/flight-record.ts';
import { CrashTracker, type CrashKind } from './crash-tracker.ts';

const MINUTE_MS = 60_000;
const LARGE = 500_000;

const call = (tenantId: string, over: Partial<Flight> = {}): Flight => ({
  versionId: 'public',
  tenantId,
  shapeClass: '0x4',
  elements: 16,
  ...over,
});
const load = (versionId = 'public'): Flight => ({ versionId, tenantId: null, shapeClass: '', elements: 0 });

function aTracker(proven: readonly string[] = ['public', 'other']) {
  const tracker = new CrashTracker();
  const crash = (kind: CrashKind, running: readonly Flight[], nowMs = 0): void =>
    tracker.crashed({ kind, running, isProven: (versionId) => proven.includes(versionId) }, nowMs);
  const refused = (nowMs = 0) =>
    tracker
      .restrictions(nowMs)
      .filter(({ refusedForMs }) => refusedForMs !== null)
      .map(({ tenantId, shapeClass }) => `${tenantId} ${shapeClass ?? 'all'}`);
  const alone = (nowMs = 0) =>
    tracker
      .restrictions(nowMs)
      .filter(({ refusedForMs }) => refusedForMs === null)
      .map(({ tenantId, versionId }) => `${tenantId} ${versionId}`);
  return { tracker, crash, refused, alone };
}

describe('callers that were in progress together', () => {
  it('all run alone until one of them is found to be the cause; then the others are cleared', () => {
    const { crash, refused, alone } = aTracker();
    crash('fault', [call('globex'), call('acme')]);
    expect(refused()).toEqual([]);
    expect(alone().sort()).toEqual(['acme public', 'globex public']);
    crash('fault', [call('globex')]);
    expect(refused()).toEqual(['globex 0x4']);
    expect(alone()).toEqual(['globex public']);
  });
});

describe('a crash with one caller in progress', () => {
  it('refuses calls of this tenant and shape class only', () => {
    const { tracker, crash, refused } = aTracker();
    crash('fault', [call('globex'), call('globex')]);
    expect(refused()).toEqual(['globex 0x4']);
    expect(tracker.isIsolated('public')).toBe(false);
    expect(tracker.quarantineOf('public', 0)).toBeNull();
  });

  it('refuses every shape class of the tenant that was in progress', () => {
    const { crash, refused } = aTracker();
    crash('fault', [call('globex'), call('globex', { shapeClass: '9x12' })]);
    expect(refused(MINUTE_MS - 1)).toEqual(['globex all']);
    expect(refused(MINUTE_MS)).toEqual([]);
  });

  it('refuses for 1, 2, 4 … 60 minutes, and each refusal ends', () => {
    const { crash, refused } = aTracker();
    let now = 0;
    for (const minutes of [1, 2, 4, 8, 16, 32, 60, 60]) {
      crash('hang', [call('globex')], now);
      expect(refused(now + minutes * MINUTE_MS - 1)).toEqual(['globex 0x4']);
      now += minutes * MINUTE_MS;
      expect(refused(now)).toEqual([]);
    }
  });

  it('refuses all calls of the tenant when a second shape class crashes the version', () => {
    const { crash, refused } = aTracker();
    crash('fault', [call('globex')]);
    crash('fault', [call('globex', { shapeClass: '9x12' })]);
    expect(refused()).toEqual(['globex all']);
  });

  it('never quarantines the version, however many callers crash it; two tenants get it a process of its own', () => {
    const { tracker, crash } = aTracker();
    for (let i = 0; i < 20; i++) crash('fault', [call('globex', { shapeClass: `0x${i}` })]);
    expect(tracker.isIsolated('public')).toBe(false);
    for (let i = 0; i < 20; i++) crash('fault', [call(`tenant-${i}`)]);
    expect(tracker.isIsolated('public')).toBe(true);
    expect(tracker.quarantineOf('public', 0)).toBeNull();
  });
});

describe('a crash with several callers in progress', () => {
  it('refuses none of them; each runs alone for a time, so that the next crash tells', () => {
    const { crash, refused, alone } = aTracker();
    crash('fault', [call('acme'), call('globex'), call('acme', { versionId: 'other' })]);
    expect(refused()).toEqual([]);
    expect(alone()).toEqual(['acme public', 'globex public', 'acme other']);
    crash('fault', [call('globex')]);
    expect(refused()).toEqual(['globex 0x4']);
    // The cause of the first crash is known now; who caused it goes on running alone.
    expect(alone(MINUTE_MS)).toEqual(['globex public']);
    expect(alone(61 * MINUTE_MS)).toEqual([]);
  });

  it('lets them run alone for 1, 2, 4 … 60 minutes, so that nobody escapes by waiting for the end', () => {
    const { crash, refused, alone } = aTracker();
    let now = 0;
    for (const minutes of [1, 2, 4, 8, 16, 32, 60, 60]) {
      crash('fault', [call('acme'), call('globex')], now);
      expect(alone(now + minutes * MINUTE_MS - 1)).toEqual(['acme public', 'globex public']);
      now += minutes * MINUTE_MS;
      expect(alone(now)).toEqual([]);
    }
    expect(refused(now)).toEqual([]);
  });

  it('for lack of memory is attributed to the largest run, and to none that is small', () => {
    const { crash, refused } = aTracker();
    crash('killed', [call('acme'), call('globex', { elements: LARGE, shapeClass: '12x18' })]);
    expect(refused()).toEqual(['globex 12x18']);
    for (let i = 0; i < 5; i++) crash('killed', [call('acme'), call('initech')]);
    expect(refused()).toEqual(['globex 12x18']);
  });
});

describe('an abort with one small call in progress', () => {
  it('may have another cause: the caller is refused at the third', () => {
    const { crash, refused } = aTracker();
    crash('killed', [call('acme')]);
    crash('killed', [call('acme')]);
    expect(refused()).toEqual([]);
    crash('killed', [call('acme')]);
    expect(refused()).toEqual(['acme 0x4']);
  });
});

describe('a crash while a version is loaded', () => {
  it('gives it a process of its own; three in a row quarantine it for 1, 2, 4 … 60 minutes', () => {
    const { tracker, crash } = aTracker([]);
    crash('fault', [load()]);
    expect(tracker.isIsolated('public')).toBe(true);
    crash('fault', [load()]);
    expect(tracker.quarantineOf('public', 0)).toBeNull();
    let now = 0;
    for (const [index, minutes] of [1, 2, 4, 8, 16, 32, 60, 60].entries()) {
      crash('fault', [load()], now);
      expect(tracker.quarantineOf('public', now)).toEqual({ crashes: 3 + index, untilMs: now + minutes * MINUTE_MS });
      now += minutes * MINUTE_MS;
      expect(tracker.quarantineOf('public', now)).toBeNull();
    }
  });

  it('is forgotten with a load that succeeds, and when an operator loads the version', () => {
    const { tracker, crash, refused } = aTracker([]);
    for (let i = 0; i < 2; i++) crash('fault', [load()]);
    tracker.loaded('public');
    crash('fault', [load()]);
    expect(tracker.quarantineOf('public', 0)).toBeNull();
    for (let i = 0; i < 3; i++) crash('fault', [load()]);
    crash('fault', [call('acme')]);
    tracker.revive('public');
    expect([tracker.quarantineOf('public', 0), tracker.isIsolated('public'), refused()]).toEqual([null, true, []]);
    tracker.forget('public');
    expect(tracker.isIsolated('public')).toBe(false);
  });

  it('beside calls is not attributed to a load that succeeded before: callers cannot quarantine what is loaded again', () => {
    const { tracker, crash } = aTracker();
    for (let i = 0; i < 10; i++) crash('fault', [load('other'), call('globex')]);
    expect([tracker.isIsolated('other'), tracker.quarantineOf('other', 0)]).toEqual([false, null]);
  });
});
