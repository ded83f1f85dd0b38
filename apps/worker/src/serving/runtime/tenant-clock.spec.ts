import { describe, expect, it } from 'vitest';
import { TenantClock } from './tenant-clock.ts';

describe('the virtual time of tenants', () => {
  it('remembers what tenants that are ahead have used, however many others came and went', () => {
    const clock = new TenantClock();
    clock.charge('heavy', 1_000);
    for (let n = 0; n < 500; n++) {
      clock.charge(`passing-${n}`, 1);
      clock.began(`passing-${n}`);
    }
    expect(clock.startOf('heavy')).toBe(1_000);
  });

  it('is bounded in memory by the tenants that are ahead', () => {
    const clock = new TenantClock();
    for (let n = 0; n < 10_000; n++) {
      clock.charge(`tenant-${n}`, 1);
      clock.began(`tenant-${n}`);
    }
    expect(clock.size).toBeLessThan(200);
  });

  it('gives an idle tenant no credit for the time that it did not use', () => {
    const clock = new TenantClock();
    clock.charge('busy', 500);
    clock.began('busy');
    expect(clock.startOf('idle')).toBe(500);
  });
});
