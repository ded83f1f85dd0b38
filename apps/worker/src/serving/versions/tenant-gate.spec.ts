import { describe, expect, it } from 'vitest';
import { TenantGate } from './tenant-gate.ts';

const never = new AbortController().signal;

/** Names of the calls that have entered, in order. */
function entering(gate: TenantGate, tenantId: string, names: readonly string[], signal = never): { entered: Map<string, () => void> } {
  const entered = new Map<string, () => void>();
  for (const name of names)
    void gate.enter(tenantId, signal).then(
      (leave) => entered.set(name, leave),
      () => undefined,
    );
  return { entered };
}
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the preparation of calls', () => {
  it('holds as many of a tenant as are allowed at once, and the others follow in order', async () => {
    const gate = new TenantGate(2);
    const { entered } = entering(gate, 'acme', ['a', 'b', 'c', 'd']);
    await settled();
    expect([...entered.keys()]).toEqual(['a', 'b']);
    entered.get('b')?.();
    entered.get('b')?.();
    await settled();
    expect([...entered.keys()]).toEqual(['a', 'b', 'c']);
  });

  it('of one tenant waits for no other', async () => {
    const gate = new TenantGate(1);
    entering(gate, 'acme', ['a', 'b', 'c']);
    const { entered } = entering(gate, 'globex', ['x']);
    await settled();
    expect(entered.size).toBe(1);
  });

  it('is not waited for by a call that was cancelled, and nothing is kept of a tenant without calls', async () => {
    const gate = new TenantGate(1);
    const abort = new AbortController();
    const first = entering(gate, 'acme', ['a']);
    const cancelled = entering(gate, 'acme', ['b'], abort.signal);
    const last = entering(gate, 'acme', ['c']);
    await settled();
    abort.abort(new Error('the caller has gone'));
    first.entered.get('a')?.();
    await settled();
    expect([cancelled.entered.size, last.entered.size]).toEqual([0, 1]);
    last.entered.get('c')?.();
    expect(gate.tenants).toBe(0);
  });
});
