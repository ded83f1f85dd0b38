import type { IncomingMessage } from 'node:http';
import type { Principal } from '@weir/access';
import { GraphContext } from '@weir/platform/graphql';
import { aPrincipal } from '@weir/testing';
import { describe, expect, it } from 'vitest';
import { ClientAddresses } from '../edge/client-addresses.ts';
import { OperationLimits } from './operation-limits.ts';

const limits = (): OperationLimits =>
  new OperationLimits({ operationsPerTenant: 2, operationsPerAddress: 1 }, new ClientAddresses({ trustedProxies: ['10.0.0.0/8'] }));

function contextOf(principal: Principal | undefined, client = '203.0.113.1'): GraphContext {
  const request = { socket: { remoteAddress: '10.0.0.1' }, headers: { 'x-forwarded-for': client } } as unknown as IncomingMessage;
  return new GraphContext({ requestId: 'request-1', principal }, { request, reply: undefined, arrivedAtMs: 0, onGone: () => {} });
}

const READ = new Set(['models']);
const acme = contextOf(aPrincipal({ tenantId: 'acme' }));
const refused = { code: 'limit.in_flight', retryAfterMs: 1_000 };

describe('GraphQL operations in progress', () => {
  it('of a tenant are bounded whatever its keys: the excess waits, more is refused, and another tenant is not delayed', async () => {
    const subject = limits();
    const held = await Promise.all([subject.admit(READ, acme), subject.admit(READ, acme)]);
    const waiting = Array.from({ length: 32 }, () => subject.admit(READ, acme));
    await expect(subject.admit(READ, contextOf(aPrincipal({ tenantId: 'acme', id: 'other-key' })))).rejects.toMatchObject(refused);
    await expect(subject.admit(READ, contextOf(aPrincipal({ tenantId: 'globex' })))).resolves.toBeTypeOf('function');
    for (const release of held) release?.();
    for (const next of waiting) (await next)?.();
  });

  it('without a credential are bounded by the address that the trusted proxy names', async () => {
    const subject = limits();
    await subject.admit(READ, contextOf(undefined));
    await expect(subject.admit(READ, contextOf(undefined))).rejects.toMatchObject(refused);
    await expect(subject.admit(READ, contextOf(undefined, '203.0.113.2'))).resolves.toBeTypeOf('function');
  });

  it('that only ask for inference are left to the limits of the key; beside a read they count', () => {
    const subject = limits();
    expect([subject.admit(new Set(['infer']), acme), subject.admit(new Set(['infer', 'inferMany']), acme)]).toEqual([undefined, undefined]);
    expect(subject.admit(new Set(['infer', 'models']), acme)).toBeInstanceOf(Promise);
  });
});
