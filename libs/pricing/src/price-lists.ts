import type { PriceList } from '@weir/contracts';

/**
 * The list by which a plan is priced at a moment: the one that took effect last. Of two that take effect together
 * the one with the greater id (made later) counts. Null before the plan's first list.
 */
export function priceListAt(lists: Iterable<PriceList>, planId: string, atMs: number): PriceList | null {
  let found: PriceList | null = null;
  let foundFromMs = -Infinity;
  for (const list of lists) {
    if (list.planId !== planId) continue;
    const fromMs = Date.parse(list.effectiveFrom);
    if (fromMs > atMs) continue;
    if (found === null || fromMs > foundFromMs || (fromMs === foundFromMs && list.id > found.id)) {
      found = list;
      foundFromMs = fromMs;
    }
  }
  return found;
}
