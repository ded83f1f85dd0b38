import { servicePrincipal, SCOPES_OF_ROLE, type Principal } from '@weir/access';
import { aPrincipal, startTestService, type TestService, type TestServiceOptions } from '@weir/testing';
import { AuthModule } from './auth.module.ts';
import { authSettings } from './settings.ts';

// Arranging for the int specs of auth.

/** What the gateway is when nobody has signed in yet. */
export const anonymous = servicePrincipal('gateway');
/** What the launcher is. */
export const launcher = servicePrincipal('weir');

export const PASSWORD = 'correct horse battery';

export function startAuth(options: TestServiceOptions = {}): Promise<TestService> {
  return startTestService({ name: 'auth', module: AuthModule, settings: authSettings }, options);
}

interface TenantMade {
  readonly tenantId: string;
  /** The owner, as the gateway would present them. */
  readonly owner: Principal;
  readonly ownerEmail: string;
}

let count = 0;

/** A tenant with an owner whose password is `PASSWORD`. */
export async function aTenant(auth: TestService, operator: Principal): Promise<TenantMade> {
  const slug = `tenant-${++count}`;
  const ownerEmail = `owner@${slug}.example`;
  const { data, errors } = await auth.graphql<{ createTenant: { tenant: { id: string }; owner: { id: string } } }>(
    operator,
    'mutation ($input: CreateTenantInput!) { createTenant(input: $input) { tenant { id } owner { id } } }',
    { input: { slug, displayName: `Tenant ${count}`, owner: { email: ownerEmail, name: 'Olga Owner', password: PASSWORD } } },
  );
  if (data === undefined || data === null) throw new Error(JSON.stringify(errors));
  const { tenant, owner } = data.createTenant;
  return { tenantId: tenant.id, ownerEmail, owner: aPrincipal({ id: owner.id, tenantId: tenant.id, scopes: SCOPES_OF_ROLE.owner }) };
}

/** Adds a person to the tenant of `owner`. */
export async function aPerson(auth: TestService, owner: Principal, email: string, role = 'MEMBER'): Promise<Principal> {
  const { data, errors } = await auth.graphql<{ addPerson: { person: { id: string } } }>(
    owner,
    'mutation ($input: AddPersonInput!) { addPerson(input: $input) { person { id } } }',
    { input: { email, name: 'Petra Person', password: PASSWORD, role } },
  );
  if (data === undefined || data === null) throw new Error(JSON.stringify(errors));
  return aPrincipal({
    id: data.addPerson.person.id,
    tenantId: owner.tenantId,
    scopes: role === 'OWNER' ? SCOPES_OF_ROLE.owner : SCOPES_OF_ROLE.member,
  });
}

/**
 * @param address of the client, as the gateway saw it
 * @param cookie what the browser holds
 * @param tenant slug; left out: any that has the address
 */
export function signIn(
  auth: TestService,
  email: string,
  password: string,
  address = '192.0.2.1',
  cookie?: string,
  tenant?: string,
): Promise<Response> {
  return auth.request('/auth/sign-in', {
    principal: anonymous,
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-forwarded-for': `203.0.113.99, ${address}`,
      ...(cookie === undefined ? {} : { cookie }),
    },
    body: JSON.stringify({ email, password, tenant }),
  });
}

/** Name and value of the cookie by which a device that signed in is known. */
export function deviceCookieOf(response: Response): string {
  const cookie = response.headers.getSetCookie().find((line) => line.startsWith('weir_device_'));
  if (cookie === undefined) throw new Error('the answer sets no device cookie');
  return cookie.split(';', 1)[0] ?? '';
}
