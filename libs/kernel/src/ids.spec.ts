import { expect, test } from 'vitest';
import { systemIds } from './ids.ts';

test('ids are unique UUIDs of version 7, in the order of time', async () => {
  const ids = Array.from({ length: 2_000 }, () => systemIds.next());
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  const last = ids.at(-1) ?? '';
  await new Promise((resolve) => setTimeout(resolve, 2));
  expect(systemIds.next() > last).toBe(true);
});
