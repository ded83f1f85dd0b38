import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { writePrivate } from '../state/write-private.ts';

/** Names of `.weir/demo.env`, in the order in which they are written. */
const schema = z.object({
  WEIR_URL: z.string(),
  WEIR_API_KEY: z.string(),
  WEIR_ADMIN_EMAIL: z.string(),
  WEIR_ADMIN_PASSWORD: z.string(),
  WEIR_OPERATOR_EMAIL: z.string(),
  WEIR_OPERATOR_PASSWORD: z.string(),
});

/** What one needs to try the demonstration: an address, a key, two people. */
export type DemoCredentials = z.infer<typeof schema>;

/** Null when the file is not there or not whole. */
export function readDemoCredentials(file: string): DemoCredentials | null {
  if (!existsSync(file)) return null;
  const entries = readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => /^([A-Z_]+)=(.*)$/.exec(line))
    .filter((match) => match !== null)
    .map((match) => [match[1], match[2]]);
  const parsed = schema.safeParse(Object.fromEntries(entries));
  return parsed.success ? parsed.data : null;
}

/** Writes them for us alone (mode 600), in a form that a shell can read (`set -a; . .weir/demo.env`). */
export function writeDemoCredentials(file: string, credentials: DemoCredentials): void {
  const lines = Object.keys(schema.shape).map((name) => `${name}=${credentials[name as keyof DemoCredentials]}`);
  writePrivate(file, `${lines.join('\n')}\n`);
}
