import { readFile } from 'node:fs/promises';
import type { InternalKeySet, InternalSigningKey } from '@weir/access';
import { z } from 'zod';

const jwkSchema = z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string(), kid: z.string(), d: z.string().optional() });

/** Reads the private key with which the service signs its calls. */
export async function readSigningKey(service: string, file: string): Promise<InternalSigningKey> {
  return { service, jwk: jwkSchema.required({ d: true }).parse(JSON.parse(await readFile(file, 'utf8'))) };
}

/** Reads the public keys of all services. */
export async function readKeySet(file: string): Promise<InternalKeySet> {
  return z.object({ keys: z.array(jwkSchema) }).parse(JSON.parse(await readFile(file, 'utf8')));
}
