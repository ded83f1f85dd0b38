import type { PriceList } from '@weir/contracts';
import { priceListAt } from '@weir/pricing';

/** Price lists by plan. A plan has few, so the one in force is found among them by `libs/pricing`. */
export class PriceBook {
  readonly #byPlan = new Map<string, readonly PriceList[]>();
  readonly #byId = new Map<string, PriceList>();

  apply(id: string, list: PriceList | undefined): void {
    const before = this.#byId.get(id);
    if (before !== undefined)
      this.#byPlan.set(
        before.planId,
        this.#listsOf(before.planId).filter((other) => other.id !== id),
      );
    if (list === undefined) {
      this.#byId.delete(id);
      return;
    }
    this.#byId.set(id, list);
    this.#byPlan.set(list.planId, [...this.#listsOf(list.planId), list]);
  }

  find(id: string): PriceList | undefined {
    return this.#byId.get(id);
  }

  inForce(planId: string, atMs: number): PriceList | null {
    return priceListAt(this.#listsOf(planId), planId, atMs);
  }

  #listsOf(planId: string): readonly PriceList[] {
    return this.#byPlan.get(planId) ?? [];
  }
}
