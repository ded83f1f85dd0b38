import { SESSION_COOKIE } from '@weir/access';

/** `Set-Cookie` for a session token: not for scripts, not for requests that other sites make. A JWT needs no escaping. */
export function sessionCookie(token: string, expires: Date, isSecure: boolean): string {
  return `${SESSION_COOKIE}=${token}; Path=/; Expires=${expires.toUTCString()}; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`;
}

/** The session token in a `Cookie` header. */
export function sessionTokenInCookies(header: string | undefined): string | undefined {
  for (const pair of (header ?? '').split(';')) {
    const [name, value] = pair.trim().split('=', 2);
    if (name === SESSION_COOKIE && value !== undefined && value !== '') return value;
  }
  return undefined;
}
