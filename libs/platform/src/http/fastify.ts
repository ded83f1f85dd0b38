// What servers need that run on Fastify without Nest.
export { errorHeaders, fromFastifyError, httpStatusOf } from './error-answers.ts';
export { hangUpWhenAnswered } from './hang-up.ts';
export { reportError } from './report-error.ts';
