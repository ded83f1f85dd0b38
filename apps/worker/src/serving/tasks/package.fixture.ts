import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Task } from '@weir/contracts';
import { openPackage, type OpenPackage } from './task-call.fixture.ts';

/** Files of a package by their path; objects become JSON. */
export type PackageContent = Readonly<Record<string, Uint8Array | string | object>>;

const directories: string[] = [];
const packages: OpenPackage[] = [];

/** Opens a package of these files; `closeWrittenPackages` takes it away again. */
export async function openWritten(task: Task, content: PackageContent, options: { readonly padTo?: number } = {}): Promise<OpenPackage> {
  const directory = await mkdtemp(join(tmpdir(), 'weir-package-'));
  directories.push(directory);
  for (const [path, file] of Object.entries(content)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), typeof file === 'string' || file instanceof Uint8Array ? file : JSON.stringify(file));
  }
  const opened = await openPackage(directory, task, options);
  packages.push(opened);
  return opened;
}

/** For `afterEach`. */
export async function closeWrittenPackages(): Promise<void> {
  for (const opened of packages.splice(0)) await opened.close();
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true, force: true });
}
