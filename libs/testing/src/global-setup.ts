import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { removePostgres, startPostgres } from '@weir/embedded-postgres';
import type { TestProject } from 'vitest/node';
import { makeTemplateDatabase } from './databases.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Connection string of the superuser of the run's PostgreSQL. */
    pgUrl: string;
  }
}

/** One PostgreSQL for the whole run, without safety against a power cut; each spec file takes a database of its own. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'weir-specs-'));
  const dataDirectory = path.join(folder, 'postgres');
  const postgres = await startPostgres({ dataDirectory, durable: false });
  await makeTemplateDatabase(postgres.adminUrl);
  project.provide('pgUrl', postgres.adminUrl);
  return async () => {
    await postgres.stop();
    // As root the data are elsewhere, because PostgreSQL's account cannot enter a temporary folder of ours.
    removePostgres(dataDirectory);
    rmSync(folder, { recursive: true, force: true });
  };
}
