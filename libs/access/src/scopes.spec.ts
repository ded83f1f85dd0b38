import { expect, it } from 'vitest';
import { AppError } from '@weir/kernel';
import { authorise, isOperator } from './principal.ts';
import { API_KEY_SCOPES, DEFAULT_API_KEY_SCOPES, isScope, SCOPES, SCOPES_OF_ROLE } from './scopes.ts';
import { principalOfSession } from './session-token.ts';

it('only operators act across tenants', () => {
  expect(SCOPES_OF_ROLE.owner).not.toContain('operator');
  expect(SCOPES_OF_ROLE.member).not.toContain('operator');
  expect(SCOPES_OF_ROLE.operator).toContain('operator');
});

it('a member may change nothing, and an owner everything that a member may and more', () => {
  expect(SCOPES_OF_ROLE.member.filter((scope) => scope.endsWith('.manage'))).toEqual([]);
  expect(SCOPES_OF_ROLE.owner).toEqual(expect.arrayContaining([...SCOPES_OF_ROLE.member]));
});

it('a key manages neither people nor keys, and does not act for the operator', () => {
  expect(API_KEY_SCOPES.filter((scope) => /manage|people|operator|api-keys/.test(scope))).toEqual([]);
  expect(DEFAULT_API_KEY_SCOPES.every((scope) => (API_KEY_SCOPES as readonly string[]).includes(scope))).toBe(true);
});

it('what is no scope is told apart', () => {
  expect(SCOPES.every(isScope)).toBe(true);
  expect(isScope('root')).toBe(false);
});

it('a principal without the scope is refused with its name', () => {
  const member = principalOfSession({ id: 's', personId: 'p', tenantId: 't', role: 'member', expiresAtMs: 0 });
  expect(member).toMatchObject({ kind: 'person', id: 'p', tenantId: 't' });
  expect(isOperator(member)).toBe(false);
  authorise(member, 'infer');
  expect(() => authorise(member, 'people.manage')).toThrow(
    new AppError('access.forbidden', { message: 'The credential lacks the scope people.manage.' }),
  );
});
