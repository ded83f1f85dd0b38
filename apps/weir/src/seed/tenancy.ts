import type { Secrets } from '../state/secrets.ts';
import { STEP_TIMEOUT_MS, signIn, type PlatformApi } from './api.ts';
import { DEMONSTRATION } from './demonstration.ts';
import { GraphError } from './graph-client.ts';
import { whileItPasses } from './retry.ts';

/** Makes the first operator, and signs them in. @returns the session's token */
export async function ensureOperator(api: PlatformApi, secrets: Secrets, signal: AbortSignal): Promise<string> {
  const { email, name } = DEMONSTRATION.operator;
  await whileItPasses(STEP_TIMEOUT_MS, signal, () =>
    api.internal('auth', 'mutation ($input: BootstrapOperatorInput!) { bootstrapOperator(input: $input) { __typename } }', {
      input: { email, name, password: secrets.operatorPassword },
    }),
  );
  return signedInOperator(api, secrets, signal);
}

/** @returns the token of a new session of the operator that a start has made */
export function signedInOperator(api: PlatformApi, secrets: Secrets, signal: AbortSignal): Promise<string> {
  const { email } = DEMONSTRATION.operator;
  return whileItPasses(STEP_TIMEOUT_MS, signal, () => signIn(api.publicUrl, email, secrets.operatorPassword, signal));
}

/** Makes the tenant with its owner, and signs the owner in. @returns the tenant's id and the session's token */
export async function ensureTenant(
  api: PlatformApi,
  operator: string,
  secrets: Secrets,
  signal: AbortSignal,
): Promise<{ tenantId: string; owner: string }> {
  const { tenant, owner } = DEMONSTRATION;
  await whileItPasses(STEP_TIMEOUT_MS, signal, async () => {
    try {
      await api.public(operator, 'mutation ($input: CreateTenantInput!) { createTenant(input: $input) { tenant { id } } }', {
        input: { ...tenant, owner: { ...owner, password: secrets.adminPassword } },
      });
    } catch (error) {
      // Made by a start that was interrupted afterwards.
      if (!(error instanceof GraphError && error.code === 'tenant.slug_taken')) throw error;
    }
  });
  const session = await whileItPasses(STEP_TIMEOUT_MS, signal, () => signIn(api.publicUrl, owner.email, secrets.adminPassword, signal));
  const own = await whileItPasses(STEP_TIMEOUT_MS, signal, () =>
    api.public<{ tenant: { id: string } }>(session, 'query { tenant { id } }'),
  );
  return { tenantId: own.tenant.id, owner: session };
}

/** Makes an API key of the tenant. @returns its secret, which is shown this once */
export async function createApiKey(api: PlatformApi, owner: string, signal: AbortSignal): Promise<string> {
  const made = await whileItPasses(STEP_TIMEOUT_MS, signal, () =>
    api.public<{ createApiKey: { secret: string } }>(
      owner,
      'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }',
      { input: { name: DEMONSTRATION.apiKeyName } },
    ),
  );
  return made.createApiKey.secret;
}
