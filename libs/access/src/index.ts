export { API_KEY_PATTERN, digestApiKey, issueApiKey, isWellFormedApiKey, type IssuedApiKey } from './api-key.ts';
export {
  INTERNAL_TOKEN_HEADER,
  INTERNAL_TOKEN_LIFETIME_MS,
  InternalTokenSigner,
  InternalTokenVerifier,
  REQUEST_ID_HEADER,
  servicePrincipal,
  type InternalKeySet,
  type InternalSigningKey,
  type VerifiedInternalToken,
} from './internal-token.ts';
export { authorise, isOperator, PLATFORM_TENANT_ID, type Principal } from './principal.ts';
export { API_KEY_SCOPES, DEFAULT_API_KEY_SCOPES, isScope, ROLES, SCOPES, SCOPES_OF_ROLE, type Role, type Scope } from './scopes.ts';
export { principalOfSession, SESSION_COOKIE, signSessionToken, verifySessionToken, type Session } from './session-token.ts';
