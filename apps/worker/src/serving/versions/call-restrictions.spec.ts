import { describe, expect, it } from 'vitest';
import { CallRestrictions } from './call-restrictions.ts';

const one = { versionId: 'v', tenantId: 'globex', shapeClass: '0x4' };

describe('calls after a crash', () => {
  it('are refused to the tenant, version and shape class that are named, with the time that is left', () => {
    const restrictions = new CallRestrictions();
    restrictions.replace([{ ...one, refusedForMs: 60_000 }]);
    expect(() => restrictions.admit('v', 'globex', '0x4')).toThrowError(
      expect.objectContaining({ code: 'model.input_refused', retryAfterMs: expect.closeTo(60_000, -3) as unknown }),
    );
    for (const [versionId, tenantId, shapeClass] of [
      ['w', 'globex', '0x4'],
      ['v', 'acme', '0x4'],
      ['v', 'globex', '1x4'],
    ] as const)
      expect(restrictions.admit(versionId, tenantId, shapeClass)).toBe(false);
    restrictions.replace([]);
    expect(restrictions.admit('v', 'globex', '0x4')).toBe(false);
  });

  it('of every shape class are refused where none is named', () => {
    const restrictions = new CallRestrictions();
    restrictions.replace([{ ...one, shapeClass: null, refusedForMs: 1 }]);
    expect(() => restrictions.admit('v', 'globex', '9x9')).toThrowError(expect.objectContaining({ retryAfterMs: 1_000 }));
  });

  it('run alone on probation, unless they are refused', () => {
    const restrictions = new CallRestrictions();
    restrictions.replace([{ ...one, refusedForMs: null }]);
    expect(restrictions.admit('v', 'globex', '0x4')).toBe(true);
    restrictions.replace([
      { ...one, refusedForMs: 1_000 },
      { ...one, shapeClass: null, refusedForMs: null },
    ]);
    expect(restrictions.admit('v', 'globex', '1x4')).toBe(true);
    expect(() => restrictions.admit('v', 'globex', '0x4')).toThrowError();
  });
});
