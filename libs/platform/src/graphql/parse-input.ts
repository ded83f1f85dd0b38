import { AppError } from '@weir/kernel';
import type { z } from 'zod';

/**
 * Checks what a caller sent against a schema, at the edge.
 *
 * @param prefix name of the argument, `input` for mutations
 * @throws request.invalid naming the field and what is expected there; never the value
 */
export function parseInput<S extends z.ZodType>(schema: S, input: unknown, prefix = 'input'): z.output<S> {
  const result = schema.safeParse(input, { reportInput: false });
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const field = [prefix, ...(issue?.path ?? [])]
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`))
    .join('');
  throw new AppError('request.invalid', { field, message: `${field}: ${issue === undefined ? 'is not valid' : expectation(issue)}.` });
}

/** What is expected, in words. A message that the schema's author wrote is used as it is; zod's own could hold the value. */
function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${issue.expected === 'int' ? 'a whole number' : article(issue.expected)}`;
    case 'too_small':
      return `must be ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${unit(issue.origin)}`;
    case 'too_big':
      return `must be ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}${unit(issue.origin)}`;
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}`;
    case 'invalid_format':
      return isOwnMessage(issue.message)
        ? issue.message
        : `must be ${issue.format === 'regex' ? 'in the form that the documentation gives' : `a valid ${issue.format}`}`;
    case 'unrecognized_keys':
      return 'has a field that is not known';
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`;
    default:
      return isOwnMessage(issue.message) ? issue.message : 'is not valid';
  }
}

function isOwnMessage(message: string): boolean {
  return !/^(Invalid|Unrecognized|Too|Expected)/.test(message);
}

function article(type: string): string {
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`;
}

function unit(origin: string): string {
  if (origin === 'string') return ' characters long';
  return origin === 'array' || origin === 'set' ? ' items long' : '';
}
