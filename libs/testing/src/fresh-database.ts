import { inject } from 'vitest';
import { copyTemplate, type TestDatabase } from './databases.ts';

/** An empty, prepared database for this spec file, on the run's PostgreSQL; gone when the run ends. */
export function freshDatabase(): Promise<TestDatabase> {
  return copyTemplate(inject('pgUrl'));
}
