import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';

/** Remembers what each step was last done for, as files in one folder. */
export class Stamps {
  #folder;

  /** @param {string} folder */
  constructor(folder) {
    this.#folder = folder;
  }

  /**
   * Was the step done for exactly these inputs, and is what it made still there?
   *
   * @param {string} name
   * @param {string} digest
   * @param {readonly string[]} outputs
   */
  isCurrent(name, digest, outputs) {
    const file = path.join(this.#folder, name);
    return existsSync(file) && readFileSync(file, 'utf8') === digest && outputs.every((output) => existsSync(output));
  }

  /**
   * @param {string} name
   * @param {string} digest
   */
  write(name, digest) {
    mkdirSync(this.#folder, { recursive: true });
    writeFileSync(path.join(this.#folder, name), digest);
  }
}

/**
 * A digest of the contents and names of files, and of the system they are for.
 *
 * @param {readonly string[]} files
 * @param {string} [also] whatever else the step depends on
 */
export function digestOf(files, also = '') {
  const hash = createHash('sha256').update(`${process.platform}-${process.arch} ${also}\n`);
  for (const file of files) {
    const content = readFileSync(file);
    hash.update(`${file} ${content.length}\n`).update(content);
  }
  return hash.digest('hex');
}

const NEVER_SOURCE = new Set(['node_modules', 'dist', 'generated']);

/**
 * All files below a folder whose name ends with one of `endings`, sorted; nothing when the folder is absent.
 *
 * @param {string} folder
 * @param {readonly string[]} endings
 * @returns {string[]}
 */
export function filesBelow(folder, endings) {
  if (!existsSync(folder)) return [];
  const found = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const at = path.join(folder, entry.name);
    if (entry.isDirectory()) {
      if (!NEVER_SOURCE.has(entry.name) && !entry.name.startsWith('.')) found.push(...filesBelow(at, endings));
    } else if (endings.some((ending) => entry.name.endsWith(ending))) found.push(at);
  }
  return found.sort();
}
