import { createHash, hash } from 'node:crypto';
import { AppError } from '@weir/kernel';
import type { EncodedMessage } from '@weir/open-inference';
import { stringify } from 'uuid';

/** How long a key stands for its call. */
export const KEY_LIFE_MS = 24 * 3_600_000;
const MAX_LENGTH = 255;

/** A caller's own name for a call, by which it is known when it is sent again. */
export interface IdempotencyKey {
  readonly value: string;
  /** Where the caller wrote it, for errors. */
  readonly field: string;
}

/** @throws request.invalid it is not 1 to 255 characters long */
export function idempotencyKey(value: string, field: string): IdempotencyKey {
  if (value.length < 1 || value.length > MAX_LENGTH)
    throw new AppError('request.invalid', { field, message: `${field}: must be 1 to ${MAX_LENGTH} characters long, got ${value.length}.` });
  return { value, field };
}

/** Request header, and metadata of gRPC, that holds the key of a call. */
export const IDEMPOTENCY_KEY_HEADER = 'idempotency-key';
/** Header of an answer, and trailer of gRPC: `true` when it is the kept answer of an earlier call with the same key. */
export const REPEATED_HEADER = 'x-weir-repeated';

/**
 * The key that a caller sends beside the call; undefined when there is none.
 *
 * @throws request.invalid it is not 1 to 255 characters long, or there are several
 */
export function idempotencyKeyOf(header: string | string[] | undefined): IdempotencyKey | undefined {
  return header === undefined ? undefined : idempotencyKey(typeof header === 'string' ? header : '', IDEMPOTENCY_KEY_HEADER);
}

/** A call that has a key. */
export interface KeyedCall {
  readonly tenantId: string;
  readonly modelId: string;
  readonly key: string;
  readonly alias: string | undefined;
  readonly version: string | undefined;
  readonly message: EncodedMessage;
}

/** What tells a call with a key from others; digests, so that they can be kept for longer than what they were made of. */
export interface CallIdentity {
  /** Of the key, the tenant and the model: another tenant's or model's equal key is another one. */
  readonly keyDigest: string;
  /** Of all that decides about the answer. How long is waited, and with what priority, does not. */
  readonly callDigest: string;
}

export function identityOf({ tenantId, modelId, key, alias, version, message }: KeyedCall): CallIdentity {
  return {
    keyDigest: hash('sha256', JSON.stringify([tenantId, modelId, key]), 'base64url'),
    callDigest: createHash('sha256')
      .update(JSON.stringify([alias ?? null, version ?? null, Object.entries(message.headers).sort()]))
      .update(message.body)
      .digest('base64url'),
  };
}

/** Ids of the receipt of a call with a key. */
export interface ReceiptIds {
  readonly id: string;
  /** The ids that the same call has in the periods before and after; see `receiptIdsOf`. */
  readonly neighbourIds: readonly string[];
}

/**
 * The receipt of a call with a key is named by the call and by the period of 24 hours that it falls into, so that two
 * gateways that are given the same call, or one that has lost its disk, record it under one id, and the ledger counts it
 * once. A repetition may fall into the next period: so the ids in the periods beside it are told as well, and the ledger
 * does not count a call when it has one of them less than 24 hours apart, whichever of the two arrives first.
 */
export function receiptIdsOf({ keyDigest, callDigest }: CallIdentity, nowMs: number): ReceiptIds {
  const period = Math.floor(nowMs / KEY_LIFE_MS);
  const idIn = (when: number): string => nameBasedId(`${keyDigest} ${callDigest} ${when}`);
  return { id: idIn(period), neighbourIds: [idIn(period - 1), idIn(period + 1)] };
}

/** A UUID version 8 of SHA-256 (RFC 9562, B.2): the same for the same name. */
function nameBasedId(name: string): string {
  const bytes = hash('sha256', name, 'buffer').subarray(0, 16);
  bytes[6] = (bytes.readUInt8(6) & 0x0f) | 0x80;
  bytes[8] = (bytes.readUInt8(8) & 0x3f) | 0x80;
  return stringify(bytes);
}
