import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline/promises';
import { removePostgres } from '@weir/embedded-postgres';
import { StartError } from '../start-error.ts';
import type { Home } from './home.ts';

/** Stays: what the installation remembers of its own steps, and the lock that we hold. */
const KEPT = new Set(['build', 'launcher.lock']);

/** @throws StartError when the person says no, or nobody can be asked and `isConfirmed` is false */
export async function confirmFreshStart(home: Home, isConfirmed: boolean): Promise<void> {
  if (isConfirmed) return;
  const question = `This deletes everything in ${home.folder}: tenants, keys, models, usage and invoices.`;
  if (!process.stdin.isTTY) throw new StartError(`${question} Nobody can be asked here: add --yes if that is meant.`);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await terminal.question(`${question} Type yes to go on: `);
    if (answer.trim().toLowerCase() !== 'yes') throw new StartError('Nothing was deleted.');
  } finally {
    terminal.close();
  }
}

/** Deletes all state of a platform that does not run. */
export function removeState(home: Home): void {
  removePostgres(home.postgres);
  for (const name of readdirSync(home.folder)) {
    if (!KEPT.has(name)) rmSync(path.join(home.folder, name), { recursive: true, force: true });
  }
}
