import { INTERNAL_TOKEN_HEADER, servicePrincipal, type InternalTokenSigner } from '@weir/access';
import { AppError } from '@weir/kernel';
import { request } from 'undici';
import type { FetchArtifact } from './package-store.ts';

/** Longest wait for the headers and for each next part of a file. */
const SILENCE_LIMIT_MS = 15_000;

/**
 * Fetches files from the registry's artifact store as this worker.
 *
 * @returns a function that throws `artifact.not_found` when the registry does not have the file, and `service.unavailable` (try again) for all else
 */
export function artifactsAt(artifactsUrl: string, signer: InternalTokenSigner): FetchArtifact {
  const base = artifactsUrl.replace(/\/+$/, '');
  return async (sha256, signal) => {
    const token = await signer.sign(servicePrincipal('worker'), 'registry');
    const response = await request(`${base}/${sha256}`, {
      headers: { [INTERNAL_TOKEN_HEADER]: token },
      signal,
      headersTimeout: SILENCE_LIMIT_MS,
      bodyTimeout: SILENCE_LIMIT_MS,
    }).catch((error: unknown) => {
      throw new AppError('service.unavailable', { message: 'The registry does not answer.', cause: error });
    });
    if (response.statusCode === 200) return readable(response.body);
    await response.body.dump();
    if (response.statusCode === 404)
      throw new AppError('artifact.not_found', { message: `The registry does not have the file ${sha256}.` });
    throw new AppError('service.unavailable', { message: `The registry answered with status ${response.statusCode}.` });
  };
}

/** A transfer that breaks in the middle is a reason to try again, not a fault of the package. */
async function* readable(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    throw new AppError('service.unavailable', { message: 'The registry broke off a file.', cause: error });
  }
}
