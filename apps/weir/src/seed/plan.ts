import { STEP_TIMEOUT_MS, type PlatformApi } from './api.ts';
import { DEMONSTRATION } from './demonstration.ts';
import { GraphError } from './graph-client.ts';
import { whileItPasses } from './retry.ts';

/** Makes the plan and subscribes the tenant to it. */
export async function ensureSubscription(api: PlatformApi, operator: string, tenantId: string, signal: AbortSignal): Promise<void> {
  const { plan } = DEMONSTRATION;
  await unless('plan.code_taken', signal, () =>
    api.public(operator, 'mutation ($input: CreatePlanInput!) { createPlan(input: $input) { __typename } }', {
      input: { ...plan, models: ['*'] },
    }),
  );
  await unless('subscription.exists', signal, () =>
    api.public(operator, 'mutation ($input: SubscribeTenantInput!) { subscribeTenant(input: $input) { __typename } }', {
      input: { tenantId, planCode: plan.code },
    }),
  );
}

/** Does it, unless a start that was interrupted afterwards has done it. */
async function unless(doneCode: string, signal: AbortSignal, step: () => Promise<unknown>): Promise<void> {
  await whileItPasses(STEP_TIMEOUT_MS, signal, async () => {
    try {
      await step();
    } catch (error) {
      if (!(error instanceof GraphError && error.code === doneCode)) throw error;
    }
  });
}
