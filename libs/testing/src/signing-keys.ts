import type { InternalKeySet, InternalSigningKey } from '@weir/access';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';

/** Every process that signs calls to others. */
export const SIGNING_SERVICES = ['gateway', 'weir', 'auth', 'registry', 'worker', 'metering', 'billing'] as const;
export type SigningService = (typeof SIGNING_SERVICES)[number];

export interface TestSigningKeys {
  /** Public keys of all. */
  readonly keySet: InternalKeySet;
  keyOf(service: SigningService): InternalSigningKey;
}

/** Keys for all services, as the launcher makes them. */
export async function testSigningKeys(): Promise<TestSigningKeys> {
  const keys = new Map<SigningService, InternalSigningKey>();
  for (const service of SIGNING_SERVICES) {
    const jwk = await exportJWK((await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })).privateKey);
    keys.set(service, { service, jwk: { ...jwk, kid: `${service}.${await calculateJwkThumbprint(jwk)}` } });
  }
  return {
    keySet: { keys: [...keys.values()].map(({ jwk: { d: _secret, ...publicJwk } }) => publicJwk) },
    keyOf: (service) => {
      const key = keys.get(service);
      if (key === undefined) throw new Error(`${service} has no signing key`);
      return key;
    },
  };
}
