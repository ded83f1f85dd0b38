/** A process of the platform. */
export interface Service {
  readonly name: ServiceName;
  /** Does it keep state in a schema of its own? */
  readonly hasDatabase: boolean;
}

export type ServiceName = 'auth' | 'registry' | 'metering' | 'billing' | 'worker' | 'gateway';

/** All processes of the platform, in the order in which they are told of. */
export const SERVICES: readonly Service[] = [
  { name: 'auth', hasDatabase: true },
  { name: 'registry', hasDatabase: true },
  { name: 'metering', hasDatabase: true },
  { name: 'billing', hasDatabase: true },
  { name: 'worker', hasDatabase: false },
  { name: 'gateway', hasDatabase: false },
];

/** Does every call of a model go through it? */
export function isOnDataPath(name: ServiceName): boolean {
  return name === 'gateway' || name === 'worker';
}

/** The name under which the launcher itself calls services. */
export const LAUNCHER = 'weir';

export const STATEFUL_SERVICES: readonly string[] = SERVICES.filter((service) => service.hasDatabase).map((service) => service.name);
/** They use the bus, and no database of their own. */
export const STATELESS_SERVICES: readonly string[] = SERVICES.filter((service) => !service.hasDatabase).map((service) => service.name);

/** Everyone who signs internal calls. */
export const SIGNERS: readonly string[] = [...SERVICES.map((service) => service.name), LAUNCHER];
