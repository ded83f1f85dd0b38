/** Injection tokens of what every service has. */
export const SETTINGS = Symbol('weir.settings');
export const LOGGER = Symbol('weir.logger');
export const CLOCK = Symbol('weir.clock');
export const IDS = Symbol('weir.ids');
export const EVENT_BUS = Symbol('weir.event-bus');
export const TOKEN_SIGNER = Symbol('weir.token-signer');
export const TOKEN_VERIFIER = Symbol('weir.token-verifier');
/** Public keys of all services. */
export const KEY_SET = Symbol('weir.key-set');
export const METRICS = Symbol('weir.metrics');
export const SERVICE = Symbol('weir.service');

/** Which service this process is, and which of its instances. */
export interface ServiceIdentity {
  readonly name: string;
  /** Unique to the process. */
  readonly instanceId: string;
}
