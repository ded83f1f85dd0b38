import { AppError } from '@weir/kernel';

/**
 * The execution providers for a version, in order of preference: the one that it asks for, then what the worker prefers
 * for the operations that this one lacks. One that asks for the processor runs on nothing else.
 *
 * @param asked the version's `runtime.accelerator`; undefined takes what the worker prefers
 * @param offered by the worker, in order of preference
 * @throws model.package_invalid when the worker does not offer what is asked: it is never run on something else instead
 */
export function providersFor(asked: string | undefined, offered: readonly string[]): readonly string[] {
  if (asked === undefined) return offered;
  if (!offered.includes(asked))
    throw new AppError('model.package_invalid', {
      message: `The model asks for the accelerator ${asked}; this worker offers ${offered.join(', ')}.`,
    });
  return asked === 'cpu' ? ['cpu'] : [asked, ...offered.filter((provider) => provider !== asked)];
}
