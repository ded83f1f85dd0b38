import { Inject, Injectable } from '@nestjs/common';
import type { Clock, Ids } from '@weir/kernel';
import { CLOCK, IDS } from '@weir/platform/service';
import { SigningKeysService } from '../signing-keys/signing-keys.service.ts';
import { accountOf, DEVICE_LIFETIME_MS, signDeviceToken, verifyDeviceToken, type KnownDevice } from './known-device.ts';

/** A proof for a device's cookie. */
export interface DeviceProof {
  readonly account: string;
  readonly token: string;
  readonly expiresAt: Date;
}

/** Issues and checks the proofs by which a device is known to have signed in to an account. */
@Injectable()
export class KnownDevices {
  readonly #signingKeys: SigningKeysService;
  readonly #clock: Clock;
  readonly #ids: Ids;

  constructor(@Inject(SigningKeysService) signingKeys: SigningKeysService, @Inject(CLOCK) clock: Clock, @Inject(IDS) ids: Ids) {
    this.#signingKeys = signingKeys;
    this.#clock = clock;
    this.#ids = ids;
  }

  /** The device that `token` proves for the account of `email`; null without a valid proof for this account. */
  async recognise(email: string, token: string | undefined): Promise<KnownDevice | null> {
    if (token === undefined) return null;
    const device = await verifyDeviceToken(token, (kid) => this.#signingKeys.publicJwkOf(kid), this.#clock.now());
    return device?.account === accountOf(email) ? device : null;
  }

  /** A proof for a device on which `email` has just signed in; a known device keeps its id. */
  async remember(email: string, known: KnownDevice | null): Promise<DeviceProof> {
    const device = known ?? { id: this.#ids.next(), account: accountOf(email) };
    const nowMs = this.#clock.now();
    const token = await signDeviceToken(device, this.#signingKeys.privateJwk(), nowMs);
    return { account: device.account, token, expiresAt: new Date(nowMs + DEVICE_LIFETIME_MS) };
  }
}
