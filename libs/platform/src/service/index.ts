export { baseSettings, type BaseSettings } from './base-settings.ts';
export { UNPACKS_BODIES } from './early-refusals.ts';
export { mountHealth, mountMetrics } from './http-surface.ts';
export { Readiness, type CheckResult, type CheckState, type ReadinessReport } from './readiness.ts';
export { runService, startService, type RunningService, type ServiceDefinition } from './run-service.ts';
export { ServiceModule, type ServiceParts } from './service.module.ts';
export {
  CLOCK,
  EVENT_BUS,
  IDS,
  KEY_SET,
  LOGGER,
  METRICS,
  SERVICE,
  SETTINGS,
  TOKEN_SIGNER,
  TOKEN_VERIFIER,
  type ServiceIdentity,
} from './tokens.ts';
