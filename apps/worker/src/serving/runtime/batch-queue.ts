import type { TenantClock } from './tenant-clock.ts';
import type { Priority, WaitingItem } from './waiting-item.ts';

/** Items that are searched for batch candidates: beyond, finding one would cost more than it saves. */
const MAX_SEARCHED = 512;
/** Least number of them for each tenant, however many wait. */
const MIN_SEARCHED_PER_TENANT = 8;
/** Largest fraction of a batch that may be padding. */
const MAX_WASTE = 0.1;
const PRIORITIES: readonly Priority[] = ['interactive', 'batch'];

/** How large a batch may get, and what it costs. */
export interface BatchLimit {
  /** In the network's units: rows, or padded elements. */
  readonly units: number;
  readonly rows: number;
  /** Cost of a unit and of a run by itself, in milliseconds, as measured. */
  readonly perUnitMs: number;
  readonly perRunMs: number;
}

/** The item that runs next. */
export interface Head {
  readonly item: WaitingItem;
  /** Start tag of its tenant. */
  readonly startMs: number;
}

/** Waiting items of one tenant, in the order of arrival. */
class Backlog {
  readonly interactive = new Set<WaitingItem>();
  readonly batch = new Set<WaitingItem>();
  readonly units: Record<Priority, number> = { interactive: 0, batch: 0 };

  get size(): number {
    return this.interactive.size + this.batch.size;
  }

  first(priority: Priority): WaitingItem | undefined {
    for (const item of this[priority]) return item;
    return undefined;
  }
}

/**
 * Waiting items of one network: a queue for each tenant, interactive work before batch work in each. The tenant that is behind on the
 * process's clock goes first (start-time fair queueing). Bounded by the network's admission.
 */
export class BatchQueue {
  readonly #clock: TenantClock;
  readonly #tenants = new Map<string, Backlog>();
  #size = 0;
  #units = 0;

  constructor(clock: TenantClock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#size;
  }

  /** Cost of everything that waits. */
  get units(): number {
    return this.#units;
  }

  /** Tenants with work that waits. */
  get tenants(): number {
    return this.#tenants.size;
  }

  sizeOf(tenantId: string): number {
    return this.#tenants.get(tenantId)?.size ?? 0;
  }

  /**
   * Units that are served before an item of the tenant that arrives now, under fair service: its own, and of every other tenant at
   * most as many as it is served itself in the meantime. Interactive work does not wait for batch work.
   */
  unitsAhead(tenantId: string, priority: Priority, units: number): number {
    const ahead = (backlog: Backlog | undefined): number =>
      backlog === undefined ? 0 : backlog.units.interactive + (priority === 'batch' ? backlog.units.batch : 0);
    const own = ahead(this.#tenants.get(tenantId));
    let all = own;
    for (const [id, backlog] of this.#tenants) if (id !== tenantId) all += Math.min(ahead(backlog), own + units);
    return all;
  }

  add(item: WaitingItem): void {
    this.#backlogOf(item.caller.tenantId)[item.priority].add(item);
    this.#count(item, 1);
  }

  /** Puts an item back to where it was taken from. */
  addFirst(item: WaitingItem): void {
    const queue = this.#backlogOf(item.caller.tenantId)[item.priority];
    const others = [...queue];
    queue.clear();
    for (const each of [item, ...others]) queue.add(each);
    this.#count(item, 1);
  }

  /** Is false when the item does not wait any more. */
  remove(item: WaitingItem): boolean {
    const backlog = this.#tenants.get(item.caller.tenantId);
    if (backlog?.[item.priority].delete(item) !== true) return false;
    this.#count(item, -1);
    if (backlog.size === 0) this.#tenants.delete(item.caller.tenantId);
    return true;
  }

  drain(): WaitingItem[] {
    const all = [...this.#tenants.values()].flatMap(({ interactive, batch }) => [...interactive, ...batch]);
    for (const item of all) this.remove(item);
    return all;
  }

  /** The first item of the tenant that is next among those with work of this priority. */
  head(priority: Priority): Head | null {
    let head: Head | null = null;
    for (const [tenantId, backlog] of this.#tenants) {
      const item = backlog.first(priority);
      if (item === undefined) continue;
      const startMs = this.#clock.startOf(tenantId);
      if (head === null || startMs < head.startMs) head = { item, startMs };
    }
    return head;
  }

  /**
   * Takes the head of this priority and others that fit into its run: with the same key, of nearly the same length, together
   * within the limit. Which tenants' items join follows the fair order too. The network charges every tenant for its part of the run.
   *
   * @returns at least one item while any of the priority waits
   */
  take(priority: Priority, limit: BatchLimit): WaitingItem[] {
    const head = this.head(priority);
    if (head === null) return [];
    const { item: first } = head;
    this.#clock.began(first.caller.tenantId);
    const isAlone = first.key === null || first.rows >= limit.rows || first.units >= limit.units;
    const taken = isAlone ? [first] : this.#filled(first, limit);
    for (const item of taken) this.remove(item);
    return taken;
  }

  #filled(first: WaitingItem, limit: BatchLimit): WaitingItem[] {
    const taken = [first];
    let { rows, length: longest } = first;
    let elements = first.rows * first.length;
    let units = first.units;
    // Padding that costs more than a run of its own.
    const paddingUnits = limit.perUnitMs === 0 ? Infinity : limit.perRunMs / limit.perUnitMs;
    const fits = (candidate: WaitingItem): boolean => {
      const allRows = rows + candidate.rows;
      if (allRows > limit.rows) return false;
      if (first.length === 0) {
        if (units + candidate.units > limit.units) return false;
      } else {
        const allLongest = Math.max(longest, candidate.length);
        const allElements = elements + candidate.rows * candidate.length;
        const allUnits = allRows * allLongest;
        if (allUnits > limit.units || 1 - allElements / allUnits > MAX_WASTE) return false;
        if (allUnits - rows * longest - candidate.units > paddingUnits) return false;
        longest = allLongest;
        elements = allElements;
      }
      rows = allRows;
      units += candidate.units;
      return true;
    };
    // In fair order: as if each candidate were served by itself.
    const lanes = [...this.#tenants].map(([tenantId, backlog]) => ({
      startMs: this.#clock.startOf(tenantId) + (tenantId === first.caller.tenantId ? first.units * limit.perUnitMs : 0),
      items: this.#matching(backlog, first),
      next: 0,
    }));
    while (rows < limit.rows) {
      let lane: (typeof lanes)[number] | undefined;
      for (const each of lanes) if (each.next < each.items.length && (lane === undefined || each.startMs < lane.startMs)) lane = each;
      const candidate = lane?.items[lane.next];
      if (lane === undefined || candidate === undefined) break;
      lane.next++;
      if (!fits(candidate)) continue;
      lane.startMs += candidate.units * limit.perUnitMs;
      taken.push(candidate);
    }
    return taken;
  }

  #matching(backlog: Backlog, first: WaitingItem): WaitingItem[] {
    const found: WaitingItem[] = [];
    let left = Math.max(MIN_SEARCHED_PER_TENANT, Math.floor(MAX_SEARCHED / this.#tenants.size));
    for (const priority of PRIORITIES) {
      for (const item of backlog[priority]) {
        if (left-- <= 0) break;
        if (item !== first && item.key === first.key) found.push(item);
      }
    }
    // Nearest in length first, so that little is padded; the sort is stable, so equal lengths keep the order of arrival.
    if (first.length > 0) found.sort((a, b) => Math.abs(a.length - first.length) - Math.abs(b.length - first.length));
    return found;
  }

  #backlogOf(tenantId: string): Backlog {
    let backlog = this.#tenants.get(tenantId);
    if (backlog === undefined) this.#tenants.set(tenantId, (backlog = new Backlog()));
    return backlog;
  }

  #count(item: WaitingItem, sign: 1 | -1): void {
    const backlog = this.#tenants.get(item.caller.tenantId);
    if (backlog !== undefined) backlog.units[item.priority] += sign * item.units;
    this.#size += sign;
    this.#units += sign * item.units;
  }
}
