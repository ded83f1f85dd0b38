import { AppError } from '@weir/kernel';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { parseInput } from './parse-input.ts';

const schema = z.object({
  name: z.string().min(3).max(10),
  count: z.number().int().optional(),
  kind: z.enum(['a', 'b']).optional(),
  slug: z
    .string()
    .regex(/^[a-z]+$/, 'must be lower-case letters')
    .optional(),
  email: z.email().optional(),
  parts: z
    .array(z.object({ size: z.number().positive() }))
    .max(2)
    .optional(),
});

function refusal(input: unknown): { field: string | undefined; message: string } {
  try {
    parseInput(schema, input);
  } catch (error) {
    if (error instanceof AppError && error.code === 'request.invalid') return { field: error.field, message: error.message };
    throw error;
  }
  throw new Error('was accepted');
}

test('what fits is returned as the schema types it', () => {
  expect(parseInput(schema, { name: 'abc' })).toEqual({ name: 'abc' });
});

test.each([
  [{ name: 'ab' }, 'input.name', 'input.name: must be at least 3 characters long.'],
  [{ name: 5 }, 'input.name', 'input.name: must be a string.'],
  [{}, 'input.name', 'input.name: must be a string.'],
  [{ name: 'abc', count: 1.5 }, 'input.count', 'input.count: must be a whole number.'],
  [{ name: 'abc', kind: 'c' }, 'input.kind', 'input.kind: must be one of a, b.'],
  [{ name: 'abc', slug: 'hunter2' }, 'input.slug', 'input.slug: must be lower-case letters.'],
  [{ name: 'abc', email: 'hunter2' }, 'input.email', 'input.email: must be a valid email.'],
  [{ name: 'abc', parts: [{ size: 1 }, { size: 0 }] }, 'input.parts[1].size', 'input.parts[1].size: must be more than 0.'],
  [{ name: 'abc', parts: [{ size: 1 }, { size: 1 }, { size: 1 }] }, 'input.parts', 'input.parts: must be at most 2 items long.'],
])('%j is refused by naming the field and what is expected, not the value', (input, field, message) => {
  expect(refusal(input)).toEqual({ field, message });
  expect(refusal(input).message).not.toContain('hunter2');
});
