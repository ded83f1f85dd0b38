/** How many sockets who may hold. */
export interface SocketPlacesOptions {
  /** Sockets of one tenant. */
  readonly maxPerTenant: number;
  /** Sockets without a caller, of one address. */
  readonly maxAnonymousPerAddress: number;
  /** Sockets without a caller, of all addresses together. */
  readonly maxAnonymous: number;
}

/**
 * Owners of the open sockets of a process. A new socket has no caller yet and may never get one: it is admitted, and beyond the bound
 * the oldest socket without a caller is evicted. A caller with a credential is known within milliseconds, and from
 * then on only its own tenant's sockets count.
 */
export class SocketPlaces<S extends object> {
  readonly #options: SocketPlacesOptions;
  /** Sockets without a caller, oldest first, with their address. */
  readonly #anonymous = new Map<S, string>();
  readonly #byAddress = new Map<string, Set<S>>();
  readonly #tenantOf = new Map<S, string>();
  readonly #byTenant = new Map<string, number>();

  constructor(options: SocketPlacesOptions) {
    this.#options = options;
  }

  /** @returns the sockets that give way to the new one */
  opened(socket: S, address: string): readonly S[] {
    const ofAddress = this.#byAddress.get(address) ?? new Set();
    this.#byAddress.set(address, ofAddress.add(socket));
    this.#anonymous.set(socket, address);
    const evicted: S[] = [];
    const evictOldest = (sockets: Iterable<S>): void => {
      for (const oldest of sockets) {
        evicted.push(oldest);
        this.closed(oldest);
        return;
      }
    };
    if (ofAddress.size > this.#options.maxAnonymousPerAddress) evictOldest(ofAddress);
    if (this.#anonymous.size > this.#options.maxAnonymous) evictOldest(this.#anonymous.keys());
    return evicted;
  }

  /** The socket's caller is known. @returns false when its tenant has as many sockets as it may */
  identified(socket: S, tenantId: string): boolean {
    if (this.#tenantOf.has(socket)) return true;
    const held = this.#byTenant.get(tenantId) ?? 0;
    if (held >= this.#options.maxPerTenant) return false;
    this.#leaveAnonymous(socket);
    this.#tenantOf.set(socket, tenantId);
    this.#byTenant.set(tenantId, held + 1);
    return true;
  }

  closed(socket: S): void {
    this.#leaveAnonymous(socket);
    const tenantId = this.#tenantOf.get(socket);
    if (tenantId === undefined) return;
    this.#tenantOf.delete(socket);
    const held = (this.#byTenant.get(tenantId) ?? 1) - 1;
    if (held > 0) this.#byTenant.set(tenantId, held);
    else this.#byTenant.delete(tenantId);
  }

  #leaveAnonymous(socket: S): void {
    const address = this.#anonymous.get(socket);
    if (address === undefined) return;
    this.#anonymous.delete(socket);
    const ofAddress = this.#byAddress.get(address);
    ofAddress?.delete(socket);
    if (ofAddress?.size === 0) this.#byAddress.delete(address);
  }
}
