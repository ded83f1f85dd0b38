import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { StartError } from '../start-error.ts';
import { writePrivate } from './write-private.ts';

const passwordSchema = z.string().min(20);

const secretsSchema = z.object({
  /** Of each service's database role, by service. */
  databasePasswords: z.record(z.string(), passwordSchema),
  /** Of the database role that owns the embedded event bus. */
  busPassword: passwordSchema,
  /** Of the demonstration's operator and of the owner of its tenant. */
  operatorPassword: passwordSchema,
  adminPassword: passwordSchema,
});

export type Secrets = z.infer<typeof secretsSchema>;

/** Reads the secrets of this installation (mode 600); makes what is missing. */
export function readSecrets(file: string, services: readonly string[]): Secrets {
  const known = existsSync(file) ? parse(file) : {};
  const secrets: Secrets = {
    databasePasswords: Object.fromEntries(services.map((service) => [service, known.databasePasswords?.[service] ?? newPassword()])),
    busPassword: known.busPassword ?? newPassword(),
    operatorPassword: known.operatorPassword ?? newPassword(),
    adminPassword: known.adminPassword ?? newPassword(),
  };
  const content = `${JSON.stringify(secrets, null, 2)}\n`;
  if (!existsSync(file) || readFileSync(file, 'utf8') !== content) writePrivate(file, content);
  return secrets;
}

function parse(file: string): Partial<Secrets> {
  try {
    return secretsSchema.partial().parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    throw new StartError(
      `${file} cannot be read as the secrets of this installation: restore it, or begin anew with npm start -- --fresh.`,
      { cause: error },
    );
  }
}

/** 144 bits in letters, digits, - and _: safe in addresses and in a shell. */
function newPassword(): string {
  return randomBytes(18).toString('base64url');
}
