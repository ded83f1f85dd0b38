import type { Addresses } from '../platform/service-environment.ts';
import { StartError } from '../start-error.ts';
import type { Home } from '../state/home.ts';
import type { Secrets } from '../state/secrets.ts';
import type { SigningKeyFiles } from '../state/signing-keys.ts';
import { withTicking, type Terminal } from '../terminal/terminal.ts';
import { PlatformApi } from './api.ts';
import { DEMONSTRATION } from './demonstration.ts';
import { readDemoCredentials, writeDemoCredentials } from './demo-credentials.ts';
import { GraphError } from './graph-client.ts';
import { ensureModels, modelsAnswer } from './models.ts';
import { ensureSubscription } from './plan.ts';
import { readSeedRecord, writeSeedRecord, type StarterModel } from './seed-record.ts';
import { createApiKey, ensureOperator, ensureTenant, signedInOperator } from './tenancy.ts';

export interface SeedContext {
  readonly addresses: Addresses;
  readonly secrets: Secrets;
  readonly keys: SigningKeyFiles;
  readonly home: Home;
  /** Folder of the project, which holds the starter models. */
  readonly root: string;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
}

/**
 * Fills a new platform through its own APIs: operator, tenant with owner and key, models, plan, subscription.
 * Each step may be repeated, so that a seed that was interrupted is completed by the next start. A platform that an
 * earlier release has seeded gets the starter models that are new.
 *
 * @throws StartError naming the step that failed
 */
export async function seedDemonstration(context: SeedContext): Promise<void> {
  const { addresses, home, terminal, signal } = context;
  const known = readDemoCredentials(home.demoFile);
  const seeded = readSeedRecord(home.seedFile, DEMONSTRATION.models);
  if (known !== null && seeded !== null) {
    const isKeyGood = await untilReady(context, known.WEIR_API_KEY, await withNewModels(context, seeded));
    // The port may be another one this time.
    if (known.WEIR_URL !== addresses.publicUrl) writeDemoCredentials(home.demoFile, { ...known, WEIR_URL: addresses.publicUrl });
    terminal.line();
    terminal.line(
      `The sign-in and the API key of the demonstration are in ${home.demoFile}.${isKeyGood ? '' : ' The key is refused: it was revoked, or its tenant was suspended.'}`,
    );
    return;
  }
  let apiKey = await seed(context, known?.WEIR_API_KEY);
  let isKeyGood = await untilReady(context, apiKey, DEMONSTRATION.models);
  if (!isKeyGood && known !== null) {
    // The key that was kept is of a database that is gone.
    apiKey = await seed(context, undefined);
    isKeyGood = await untilReady(context, apiKey, DEMONSTRATION.models);
  }
  if (!isKeyGood) throw new StartError('The gateway refuses the API key that was just made; its log and that of auth say why.');
  writeSeedRecord(home.seedFile, DEMONSTRATION.models);
  signal.throwIfAborted();
  tellWhatToTry(context, apiKey);
}

/**
 * Adds the starter models that this release has and the platform lacks. Whoever has changed the operator's password does
 * without them: that keeps nothing else from starting.
 *
 * @returns the models that the platform has now
 */
async function withNewModels(context: SeedContext, seeded: readonly StarterModel[]): Promise<readonly StarterModel[]> {
  const { addresses, secrets, keys, home, root, terminal, signal } = context;
  const missing = DEMONSTRATION.models.filter((model) => !seeded.includes(model));
  if (missing.length === 0) return seeded;
  const names = missing.map((model) => model.name).join(', ');
  const api = new PlatformApi(addresses, keys, signal);
  try {
    const operator = await signedInOperator(api, secrets, signal);
    await withTicking(terminal, () => `seeding: ${names}`, ensureModels(api, operator, root, missing, signal));
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    terminal.line(`The starter models ${names} of this release were not added: ${error.message}`);
    return seeded;
  }
  writeSeedRecord(home.seedFile, DEMONSTRATION.models);
  terminal.line(`  models      added   ${names}`);
  return DEMONSTRATION.models;
}

async function seed(context: SeedContext, knownKey: string | undefined): Promise<string> {
  const { addresses, secrets, keys, home, root, terminal, signal } = context;
  const api = new PlatformApi(addresses, keys, signal);
  const step = async <T>(what: string, work: Promise<T>): Promise<T> => {
    try {
      return await withTicking(terminal, () => `seeding: ${what}`, work);
    } catch (error) {
      if (error instanceof GraphError)
        throw new StartError(`The demonstration could not be seeded (${what}): ${error.message}. The next start tries again.`, {
          cause: error,
        });
      throw error;
    }
  };
  const operator = await step('operator', ensureOperator(api, secrets, signal));
  const { tenantId, owner } = await step(`tenant ${DEMONSTRATION.tenant.slug}`, ensureTenant(api, operator, secrets, signal));
  const apiKey = knownKey ?? (await step('API key', createApiKey(api, owner, signal)));
  writeDemoCredentials(home.demoFile, {
    WEIR_URL: addresses.publicUrl,
    WEIR_API_KEY: apiKey,
    WEIR_ADMIN_EMAIL: DEMONSTRATION.owner.email,
    WEIR_ADMIN_PASSWORD: secrets.adminPassword,
    WEIR_OPERATOR_EMAIL: DEMONSTRATION.operator.email,
    WEIR_OPERATOR_PASSWORD: secrets.operatorPassword,
  });
  await step('models', ensureModels(api, operator, root, DEMONSTRATION.models, signal));
  await step('plan and subscription', ensureSubscription(api, operator, tenantId, signal));
  terminal.line('  demonstration seeded');
  return apiKey;
}

async function untilReady({ addresses, terminal, signal }: SeedContext, apiKey: string, models: readonly StarterModel[]): Promise<boolean> {
  const waiting = new Set(models.map((model) => model.name));
  const isReady = await withTicking(
    terminal,
    () => `waiting for the models ${[...waiting].join(', ')}`,
    modelsAnswer(addresses.urlOf('gateway'), apiKey, models, signal, (model) => waiting.delete(model)),
  );
  if (isReady) terminal.line(`  models      ready   ${models.map((model) => model.name).join(', ')}`);
  return isReady;
}

function tellWhatToTry({ addresses, secrets, home, terminal }: SeedContext, apiKey: string): void {
  const query =
    '{"query":"mutation { infer(input: { model: \\"sentiment\\", input: { text: \\"I love this phone.\\" } }) { output { ... on Classification { labels { label score } } } cost { amount currency } receiptId } }"}';
  for (const line of [
    '',
    `Address   ${addresses.publicUrl}`,
    `Sign-in   ${DEMONSTRATION.owner.email}  ${secrets.adminPassword}   (owner of the tenant ${DEMONSTRATION.tenant.slug})`,
    `          ${DEMONSTRATION.operator.email}  ${secrets.operatorPassword}   (operator)`,
    `API key   ${apiKey}`,
    `          shown this once; all of this is also in ${home.demoFile}`,
    '',
    'Try it:',
    '',
    `curl -s ${addresses.publicUrl}/graphql -H 'authorization: Bearer ${apiKey}' -H 'content-type: application/json' -d '${query}'`,
    '',
    'Or, in another terminal: npm run demo',
  ]) {
    terminal.line(line);
  }
}
