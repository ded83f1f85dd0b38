import type { AppError } from '@weir/kernel';
import { countError, type Logger } from '../telemetry/index.ts';

/**
 * Counts an error that is about to be answered (`weir_errors_total`) and logs it. Only an unforeseen one is logged with its cause and
 * stack. A model that fails is a warning, whose request id its publisher may ask for; everything else is an ordinary refusal, which a
 * caller can repeat as often as it likes: at debug level.
 */
export function reportError(error: AppError, requestId: string, logger: Logger): void {
  const { code, field, kind, cause } = error;
  countError(code);
  if (code === 'internal.error') {
    logger.error({ err: cause ?? error, requestId }, 'a request failed');
    return;
  }
  const entry = { code, field, requestId, reason: cause instanceof Error ? cause.message : undefined };
  if (kind === 'internal') logger.warn(entry, 'a request failed');
  else logger.debug(entry, 'a request was refused');
}
