export { AppErrorFilter, sendError } from './app-error.filter.ts';
export { errorBody, errorHeaders, httpStatusOf, type ErrorBody } from './error-answers.ts';
export { fromFrameworkError } from './errors.ts';
export { assertJsonDepth, MAX_JSON_DEPTH } from './json-depth.ts';
export { isLocalAddress, namesLocalAddress } from './local-addresses.ts';
export { reportError } from './report-error.ts';
export { CurrentPrincipal, requestContext, setRequestContext, type RequestContext } from './request-context.ts';
export { requestIdOf } from './request-id.ts';
export { clientAddress, networkOf, trustIn, type TrustFunction } from './trusted-proxies.ts';
