import { Inject, Injectable } from '@nestjs/common';
import type { Clock, Ids } from '@weir/kernel';
import { CLOCK, IDS } from '@weir/platform/service';
import { SigningKeysService } from '../signing-keys/signing-keys.service.ts';
import { DEVICE_LIFETIME_MS, signDeviceToken, verifyDeviceToken, type KnownDevice } from './known-device.ts';

/** A proof for a device's cookie. */
export interface DeviceProof {
  readonly token: string;
  readonly expiresAt: Date;
}

/** Issues and checks the proofs by which a device is known to be one on which a person signed in. */
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

  /** The device that `token` proves; null without a valid proof. */
  async recognise(token: string | undefined): Promise<KnownDevice | null> {
    if (token === undefined) return null;
    return verifyDeviceToken(token, (kid) => this.#signingKeys.publicJwkOf(kid), this.#clock.now());
  }

  /** A proof for a device on which a person has just signed in; a device that is known for this person keeps its id. */
  async remember(personId: string, known: KnownDevice | null): Promise<DeviceProof> {
    const device = known?.personId === personId ? known : { id: this.#ids.next(), personId };
    const nowMs = this.#clock.now();
    const token = await signDeviceToken(device, this.#signingKeys.privateJwk(), nowMs);
    return { token, expiresAt: new Date(nowMs + DEVICE_LIFETIME_MS) };
  }
}
