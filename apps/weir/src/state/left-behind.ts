import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { identityOf } from '../processes/process-identity.ts';
import { StartError } from '../start-error.ts';

const PAUSE_MS = 200;

const runSchema = z.looseObject({ services: z.record(z.string(), z.looseObject({ pid: z.number().int().positive().nullable() })) });

/**
 * Names of services that a launcher which was killed left behind and that have not ended yet.
 *
 * @param scriptOf the script that a service's process runs, which tells it from a program that got its number later
 */
export function leftBehind(runFile: string, scriptOf: ReadonlyMap<string, string>): readonly string[] {
  const run = runSchema.safeParse(existsSync(runFile) ? parseJson(readFileSync(runFile, 'utf8')) : null);
  if (!run.success) return [];
  return Object.entries(run.data.services)
    .filter(([name, { pid }]) => {
      const script = scriptOf.get(name);
      return pid !== null && script !== undefined && identityOf(pid).includes(script);
    })
    .map(([name]) => name);
}

/**
 * Waits until they have ended, which they do by themselves: two of a kind would share a port or a spool.
 *
 * @throws StartError when some live on after `timeoutMs`
 */
export async function untilNoneIsLeft(runFile: string, scriptOf: ReadonlyMap<string, string>, timeoutMs: number): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; ; await sleep(PAUSE_MS)) {
    const names = leftBehind(runFile, scriptOf);
    if (names.length === 0) return;
    if (Date.now() > deadline)
      throw new StartError(
        `Processes of an earlier start still run (${names.join(', ')}; their numbers are in ${runFile}): stop them first.`,
      );
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Half-written by a launcher that was killed: it names nobody.
    return null;
  }
}
