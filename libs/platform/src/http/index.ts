export { AppErrorFilter, sendError } from './app-error.filter.ts';
export { errorBody, errorHeaders, fromFrameworkError, httpStatusOf, type ErrorBody } from './errors.ts';
export { CurrentPrincipal, requestContext, setRequestContext, type RequestContext } from './request-context.ts';
export { requestIdOf } from './request-id.ts';
