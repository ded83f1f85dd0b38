import { AppError } from '@weir/kernel';

const PART = /^[\w.-]{1,100}$/;
const MAX_LENGTH = 200;

/**
 * Checks the path of a file inside a model package: parts of letters, digits, `.`, `-`, `_` divided by `/`,
 * relative, nothing that leads out of the package, nothing hidden.
 *
 * @throws model.package_invalid when it is anything else
 */
export function assertSafePackagePath(path: string): void {
  const isSafe = path.length <= MAX_LENGTH && path.split('/').every((part) => PART.test(part) && !part.startsWith('.'));
  if (!isSafe)
    throw new AppError('model.package_invalid', { field: 'files', message: 'A file of the package has a path that is not allowed.' });
}
