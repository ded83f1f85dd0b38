import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import type { PackageFile } from '@weir/contracts';
import { StartError } from '../start-error.ts';

/** A file of a starter model, on this disk. */
export interface LocalPackageFile extends PackageFile {
  readonly localPath: string;
}

/** What made or checks the model is not part of what a worker runs. */
const NOT_SHIPPED = new Set(['train.py', 'measure.py', 'example.json']);

/** The files of a starter model under `models/`, with their digests. */
export function packageFilesIn(folder: string): LocalPackageFile[] {
  let names: string[];
  try {
    names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  } catch (error) {
    throw new StartError(`The starter model in ${folder} is missing: restore it from the repository.`, { cause: error });
  }
  return names
    .filter((name) => !NOT_SHIPPED.has(name.split(path.sep)[0] ?? '') && statSync(path.join(folder, name)).isFile())
    .sort()
    .map((name) => {
      const localPath = path.join(folder, name);
      const content = readFileSync(localPath);
      return {
        path: name.split(path.sep).join('/'),
        sha256: createHash('sha256').update(content).digest('hex'),
        sizeBytes: content.length,
        localPath,
      };
    });
}
