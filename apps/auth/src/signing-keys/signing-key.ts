import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';
import { z } from 'zod';

const publicJwkSchema = z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string() });
const privateJwkSchema = publicJwkSchema.extend({ d: z.string() });

/** A public JSON Web Key (RFC 8037). */
export type PublicJwk = z.infer<typeof publicJwkSchema>;

/** A key pair with which session tokens are signed. */
export interface SigningKey {
  /** `kid` of the tokens: the thumbprint of the public key (RFC 7638). */
  readonly id: string;
  readonly publicJwk: PublicJwk;
  /** Never leaves auth. */
  readonly privateJwk: z.infer<typeof privateJwkSchema>;
}

export async function newSigningKey(): Promise<SigningKey> {
  const { privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
  return signingKeyOf(await exportJWK(privateKey));
}

/** @throws ZodError it is no private Ed25519 key */
export async function signingKeyOf(jwk: unknown): Promise<SigningKey> {
  const privateJwk = privateJwkSchema.parse(jwk);
  const publicJwk = publicJwkSchema.parse(jwk);
  return { id: await calculateJwkThumbprint(publicJwk), publicJwk, privateJwk };
}

/** The entry of a JSON Web Key Set. */
export function jwksEntry(key: Pick<SigningKey, 'id' | 'publicJwk'>): JWK {
  return { ...key.publicJwk, kid: key.id, alg: 'EdDSA', use: 'sig' };
}
