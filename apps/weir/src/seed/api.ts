import { INTERNAL_TOKEN_HEADER, InternalTokenSigner, REQUEST_ID_HEADER, servicePrincipal } from '@weir/access';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request } from 'undici';
import { z } from 'zod';
import type { Addresses } from '../platform/service-environment.ts';
import { LAUNCHER, type ServiceName } from '../platform/services.ts';
import type { SigningKeyFiles } from '../state/signing-keys.ts';
import { callGraph, GraphError } from './graph-client.ts';

/** How long a step may wait for services that are starting and projections that catch up. */
export const STEP_TIMEOUT_MS = 60_000;
const UPLOAD_TIMEOUT_MS = 120_000;

/** The APIs of a running platform, as the launcher calls them. */
export class PlatformApi {
  readonly #addresses: Addresses;
  readonly #signer: InternalTokenSigner;
  readonly #signal: AbortSignal;

  constructor(addresses: Addresses, keys: SigningKeyFiles, signal: AbortSignal) {
    this.#addresses = addresses;
    this.#signer = new InternalTokenSigner({
      service: LAUNCHER,
      jwk: JSON.parse(readFileSync(keys.privateKeyOf(LAUNCHER), 'utf8')) as Record<string, string>,
    });
    this.#signal = signal;
  }

  get publicUrl(): string {
    return this.#addresses.urlOf('gateway');
  }

  /** A GraphQL request to a service itself, in the launcher's own name. */
  async internal<T>(service: ServiceName, document: string, variables: Record<string, unknown>): Promise<T> {
    const headers = await this.#internalHeaders(service);
    return callGraph<T>({ url: `${this.#addresses.urlOf(service)}/graphql`, headers, document, variables, signal: this.#signal });
  }

  /** A GraphQL request to the gateway, as a person or key. */
  public<T>(credential: string, document: string, variables: Record<string, unknown> = {}): Promise<T> {
    return callGraph<T>({
      url: `${this.publicUrl}/graphql`,
      headers: { authorization: `Bearer ${credential}` },
      document,
      variables,
      signal: this.#signal,
    });
  }

  /** Puts a file into the registry's store by its digest; does nothing when it is there. */
  async putArtifact(sha256: string, file: string): Promise<void> {
    const answer = await request(`${this.#addresses.urlOf('registry')}/artifacts/sha256/${sha256}`, {
      method: 'PUT',
      headers: { ...(await this.#internalHeaders('registry')), 'content-type': 'application/octet-stream' },
      body: readFileSync(file),
      signal: AbortSignal.any([this.#signal, AbortSignal.timeout(UPLOAD_TIMEOUT_MS)]),
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new GraphError(codeIn(text), `The registry refused ${file} with status ${answer.statusCode}`);
  }

  async #internalHeaders(service: ServiceName): Promise<Record<string, string>> {
    return { [INTERNAL_TOKEN_HEADER]: await this.#signer.sign(servicePrincipal(LAUNCHER), service), [REQUEST_ID_HEADER]: randomUUID() };
  }
}

const signInSchema = z.looseObject({ token: z.string().min(1) });

/** Signs a person in at the gateway. @returns the session's token @throws GraphError */
export async function signIn(publicUrl: string, email: string, password: string, signal?: AbortSignal): Promise<string> {
  const timeout = AbortSignal.timeout(15_000);
  const answer = await request(`${publicUrl}/auth/sign-in`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ email, password }),
    signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
  });
  const text = await answer.body.text();
  if (answer.statusCode >= 300) throw new GraphError(codeIn(text), `The sign-in of ${email} was refused`);
  return signInSchema.parse(JSON.parse(text)).token;
}

function codeIn(text: string): string {
  const parsed = z.object({ error: z.object({ code: z.string() }) }).safeParse(safeJson(text));
  return parsed.success ? parsed.data.error.code : 'service.unavailable';
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not an answer of ours.
    return null;
  }
}
