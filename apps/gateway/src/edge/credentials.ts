import type { IncomingMessage } from 'node:http';
import { SESSION_COOKIE } from '@weir/access';
import { AppError } from '@weir/kernel';

/** Longest credential that is looked at: a session token has some 300 characters. */
const MAX_CREDENTIAL_LENGTH = 4_096;
const BEARER = 'bearer ';

/** A secret that a request carries, and how. */
export interface Credential {
  readonly secret: string;
  /** A browser sends cookies by itself, also when another site made it: such requests must come from our own pages. */
  readonly isCookie: boolean;
}

/**
 * The credential of a request: the `Authorization` header before the session cookie; null when there is neither.
 *
 * @throws auth.invalid the header is not `Bearer …`
 */
export function credentialOf(request: IncomingMessage): Credential | null {
  const { authorization, cookie } = request.headers;
  if (authorization !== undefined) return { secret: bearerOf(authorization), isCookie: false };
  const secret = cookie === undefined ? undefined : cookieNamed(SESSION_COOKIE, cookie);
  return secret === undefined || secret === '' ? null : { secret, isCookie: true };
}

/** @throws auth.invalid it is not `Bearer …` */
export function bearerOf(authorization: string): string {
  if (authorization.length > MAX_CREDENTIAL_LENGTH || authorization.slice(0, BEARER.length).toLowerCase() !== BEARER)
    throw new AppError('auth.invalid');
  return authorization.slice(BEARER.length).trim();
}

function cookieNamed(name: string, header: string): string | undefined {
  if (header.length > 2 * MAX_CREDENTIAL_LENGTH) return undefined;
  for (const pair of header.split(';')) {
    const at = pair.indexOf('=');
    if (at !== -1 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return undefined;
}

/**
 * Did one of our own pages make the request (or no browser at all)? By `Sec-Fetch-Site`, which pages cannot forge;
 * older browsers send `Origin`. A request with neither is not from a browser, and so not sent behind its user's back.
 */
export function isSameOrigin(request: IncomingMessage): boolean {
  const { 'sec-fetch-site': site, origin, host } = request.headers;
  if (site !== undefined) return site === 'same-origin' || site === 'none';
  if (origin === undefined) return true;
  return URL.canParse(origin) && new URL(origin).host === host;
}
