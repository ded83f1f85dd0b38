import { hash, randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const PREFIX = 'weir_sk_';
const ID_LENGTH = 12;
const SECRET_LENGTH = 32;
const CHECKSUM_LENGTH = 6;

/** `weir_sk_` + 12 characters of id + 32 of secret (190 bits) + 6 of checksum, all base 62. Secret scanners can match it. */
export const API_KEY_PATTERN = /^weir_sk_[0-9A-Za-z]{50}$/;

export interface IssuedApiKey {
  /** Public part, also the id of the key. */
  readonly id: string;
  /** The whole key: shown once, kept nowhere. */
  readonly secret: string;
  /** What is kept: SHA-256 of the whole key, in hexadecimal. */
  readonly digest: string;
}

export function issueApiKey(): IssuedApiKey {
  const id = randomText(ID_LENGTH);
  const body = PREFIX + id + randomText(SECRET_LENGTH);
  const secret = body + checksum(body);
  return { id, secret, digest: digestApiKey(secret) };
}

/** Is it a key as this platform makes them? Says nothing of whether it is valid. */
export function isWellFormedApiKey(text: string): boolean {
  if (!API_KEY_PATTERN.test(text)) return false;
  const body = text.slice(0, -CHECKSUM_LENGTH);
  return checksum(body) === text.slice(-CHECKSUM_LENGTH);
}

export function digestApiKey(secret: string): string {
  return hash('sha256', secret, 'hex');
}

function randomText(length: number): string {
  let text = '';
  for (let i = 0; i < length; i++) text += ALPHABET[randomInt(ALPHABET.length)];
  return text;
}

/** CRC-32 of the text in base 62, as GitHub's tokens carry it: tells a mistyped key from a wrong one without a look-up. */
function checksum(text: string): string {
  let rest = crc32(text);
  let out = '';
  for (let i = 0; i < CHECKSUM_LENGTH; i++) {
    out = ALPHABET.charAt(rest % ALPHABET.length) + out;
    rest = Math.floor(rest / ALPHABET.length);
  }
  return out;
}
