import { SESSION_COOKIE } from '@weir/access';
import { deviceCookieName } from './known-device.ts';

/** Sign-in alone reads the proof of a known device, so no other request carries it. */
const DEVICE_COOKIE_PATH = '/auth/sign-in';

/** `Set-Cookie` for a session token: not for scripts, not for requests that other sites make. A JWT needs no escaping. */
export function sessionCookie(token: string, expires: Date, isSecure: boolean): string {
  return `${SESSION_COOKIE}=${token}; Path=/; Expires=${expires.toUTCString()}; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`;
}

/** `Set-Cookie` for the proof that somebody with this e-mail address signed in on this device. */
export function deviceCookie(email: string, token: string, expires: Date, isSecure: boolean): string {
  return `${deviceCookieName(email)}=${token}; Path=${DEVICE_COOKIE_PATH}; Expires=${expires.toUTCString()}; HttpOnly; SameSite=Strict${isSecure ? '; Secure' : ''}`;
}

/** The session token in a `Cookie` header. */
export function sessionTokenInCookies(header: string | undefined): string | undefined {
  return cookieIn(header, SESSION_COOKIE);
}

/** The proof of a known device for an e-mail address in a `Cookie` header. */
export function deviceTokenInCookies(header: string | undefined, email: string): string | undefined {
  return cookieIn(header, deviceCookieName(email));
}

function cookieIn(header: string | undefined, wanted: string): string | undefined {
  for (const pair of (header ?? '').split(';')) {
    const [name, value] = pair.trim().split('=', 2);
    if (name === wanted && value !== undefined && value !== '') return value;
  }
  return undefined;
}
