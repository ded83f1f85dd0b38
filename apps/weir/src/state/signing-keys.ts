import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';
import { writePrivate } from './write-private.ts';

export interface SigningKeyFiles {
  /** File with the private JSON Web Key of a service. */
  readonly privateKeyOf: (service: string) => string;
  /** File with the public keys of all services. */
  readonly keySet: string;
}

/** Makes the Ed25519 keys with which services sign their calls to each other, once for an installation. */
export async function ensureSigningKeys(folder: string, services: readonly string[]): Promise<SigningKeyFiles> {
  const privateKeyOf = (service: string): string => path.join(folder, `${service}.jwk.json`);
  const keys: JWK[] = [];
  for (const service of services) {
    const file = privateKeyOf(service);
    if (!existsSync(file)) writePrivate(file, `${JSON.stringify(await newKey(service))}\n`);
    const { kty, crv, x, kid } = JSON.parse(readFileSync(file, 'utf8')) as JWK;
    keys.push({ kty, crv, x, kid, alg: 'EdDSA', use: 'sig' });
  }
  const keySet = path.join(folder, 'internal.jwks.json');
  writePrivate(keySet, `${JSON.stringify({ keys }, null, 2)}\n`);
  return { privateKeyOf, keySet };
}

async function newKey(service: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, kid: `${service}.${await calculateJwkThumbprint(jwk)}`, alg: 'EdDSA', use: 'sig' };
}
