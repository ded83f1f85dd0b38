import { Injectable } from '@nestjs/common';
import { AppError, Decimal, type Money } from '@weir/kernel';

/** Money set aside for a call under way. */
export interface Reservation {
  /** Ends it: the call costs this. */
  settle(actual: Money): void;
  /** Ends it: the call costs nothing. */
  release(): void;
}

/** Sets the estimated cost of a call aside before it runs, so that calls under way cannot together pass what a tenant may spend. */
export interface Reservations {
  /** @throws limit.spend the tenant may not spend this much more */
  reserve(tenantId: string, estimate: Money): Reservation;
}

export const RESERVATIONS = Symbol('gateway.reservations');

/** How much a tenant may have reserved at once in one process, in units of its currency. */
export const MAX_RESERVED = 1_000;

/**
 * Reservations that this process keeps for itself: it bounds what a tenant may have under way here.
 * Budgets that hold across gateways need leases from metering, which take this one's place.
 */
@Injectable()
export class InMemoryReservations implements Reservations {
  readonly #reserved = new Map<string, Decimal>();

  reserve(tenantId: string, estimate: Money): Reservation {
    const amount = new Decimal(estimate.amount);
    const reserved = (this.#reserved.get(tenantId) ?? new Decimal(0)).plus(amount);
    if (reserved.gt(MAX_RESERVED)) throw new AppError('limit.spend');
    this.#reserved.set(tenantId, reserved);
    let isOpen = true;
    const end = (): void => {
      if (!isOpen) return;
      isOpen = false;
      const rest = (this.#reserved.get(tenantId) ?? amount).minus(amount);
      if (rest.lte(0)) this.#reserved.delete(tenantId);
      else this.#reserved.set(tenantId, rest);
    };
    return { settle: end, release: end };
  }

  /** What a tenant has reserved now. */
  reserved(tenantId: string): string {
    return (this.#reserved.get(tenantId) ?? new Decimal(0)).toFixed();
  }
}
