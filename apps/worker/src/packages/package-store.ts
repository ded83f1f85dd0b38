import { createHash, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { link, mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { PackageFile } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { assertSafePackagePath } from './package-path.ts';

/** Where the bytes of a file come from. */
export type FetchArtifact = (sha256: string, signal: AbortSignal) => Promise<AsyncIterable<Uint8Array>>;

export interface PackageStoreOptions {
  readonly directory: string;
  /** Most bytes of files to keep. What is in use is never thrown away. */
  readonly maxBytes: number;
}

/** A package as files on disk, kept until it is released. */
export interface HeldPackage {
  readonly directory: string;
  readonly sizeBytes: number;
  release(): void;
}

/**
 * Model files on this worker's disk: `blobs/<sha256>` holds each content once, `packages/<digest>/…` holds hard links
 * under the names of the package, because ONNX Runtime finds external data beside the model (and refuses symbolic links).
 */
export class PackageStore {
  readonly #directory: string;
  readonly #maxBytes: number;
  readonly #inUse = new Map<string, number>();

  constructor(options: PackageStoreOptions) {
    this.#directory = options.directory;
    this.#maxBytes = options.maxBytes;
  }

  /** Makes the folders and removes what an earlier process left half-written. */
  async open(): Promise<void> {
    await rm(join(this.#directory, 'incoming'), { recursive: true, force: true });
    for (const part of ['incoming', 'blobs', 'packages']) await mkdir(join(this.#directory, part), { recursive: true, mode: 0o700 });
    // The mapping of groups to tenants is not kept across restarts.
    for (const folder of await readdir(join(this.#directory, 'packages')))
      if (GROUP_FOLDER.test(folder)) await rm(join(this.#directory, 'packages', folder), { recursive: true, force: true });
  }

  /**
   * Puts a package on disk, fetching the files that are not there, and holds it. Not to be called concurrently.
   *
   * @param gid the group that is to read it, where its processes run as an account of their own: its folder is not shared with others
   * @throws artifact.digest_mismatch a file does not have the size and digest that its placement announced; nothing of it is kept
   * @throws model.package_invalid    a path leads out of the package, or the package is larger than the cache
   * @throws worker.overloaded        the packages in use leave too little of the cache
   */
  async hold(files: readonly PackageFile[], fetchArtifact: FetchArtifact, signal: AbortSignal, gid?: number): Promise<HeldPackage> {
    for (const file of files) assertSafePackagePath(file.path);
    const folder = folderName(packageDigest(files), gid);
    const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
    this.#inUse.set(folder, (this.#inUse.get(folder) ?? 0) + 1);
    try {
      const missing = await this.#missing(files);
      await this.#makeRoom(missing.reduce((sum, file) => sum + file.sizeBytes, 0));
      for (const file of missing) await this.#fetch(file, fetchArtifact, signal);
      const directory = await this.#link(folder, files);
      return { directory, sizeBytes, release: once(() => this.#release(folder)) };
    } catch (error) {
      this.#release(folder);
      throw error;
    }
  }

  #release(folder: string): void {
    const holders = (this.#inUse.get(folder) ?? 1) - 1;
    if (holders === 0) this.#inUse.delete(folder);
    else this.#inUse.set(folder, holders);
  }

  #blob(sha256: string): string {
    return join(this.#directory, 'blobs', sha256);
  }

  async #missing(files: readonly PackageFile[]): Promise<PackageFile[]> {
    const missing = new Map<string, PackageFile>();
    for (const file of files) {
      const found = await sizeOf(this.#blob(file.sha256));
      if (found !== file.sizeBytes) missing.set(file.sha256, file);
    }
    return [...missing.values()];
  }

  /** Streams one file into place; its name appears only when every byte is there, has the digest, and is on disk. */
  async #fetch(file: PackageFile, fetchArtifact: FetchArtifact, signal: AbortSignal): Promise<void> {
    const incoming = join(this.#directory, 'incoming', randomUUID());
    const hash = createHash('sha256');
    let received = 0;
    const check = new Transform({
      transform(chunk: Uint8Array, _, done) {
        received += chunk.length;
        if (received > file.sizeBytes) return done(mismatch(file));
        hash.update(chunk);
        done(null, chunk);
      },
    });
    try {
      await pipeline(await fetchArtifact(file.sha256, signal), check, createWriteStream(incoming, { mode: 0o600, flush: true }), {
        signal,
      });
      if (received !== file.sizeBytes || hash.digest('hex') !== file.sha256) throw mismatch(file);
      await rename(incoming, this.#blob(file.sha256));
    } catch (error) {
      await rm(incoming, { force: true });
      throw error;
    }
  }

  async #link(folder: string, files: readonly PackageFile[]): Promise<string> {
    const directory = join(this.#directory, 'packages', folder);
    const building = join(this.#directory, 'incoming', randomUUID());
    for (const file of files) {
      const target = join(building, file.path);
      await mkdir(dirname(target), { recursive: true, mode: 0o700 });
      await link(this.#blob(file.sha256), target);
    }
    // Made anew each time: whatever happened to an earlier folder, this one has exactly the announced files.
    await rm(directory, { recursive: true, force: true });
    await rename(building, directory);
    const now = new Date();
    await utimes(directory, now, now);
    return directory;
  }

  /** Throws away the packages that were used longest ago, until `neededBytes` fit. */
  async #makeRoom(neededBytes: number): Promise<void> {
    let kept = await this.#keptBytes();
    if (kept + neededBytes <= this.#maxBytes) return;
    for (const digest of await this.#unusedOldestFirst()) {
      await rm(join(this.#directory, 'packages', digest), { recursive: true, force: true });
      await this.#removeUnlinkedBlobs();
      kept = await this.#keptBytes();
      if (kept + neededBytes <= this.#maxBytes) return;
    }
    await this.#removeUnlinkedBlobs();
    kept = await this.#keptBytes();
    if (kept + neededBytes > this.#maxBytes) {
      // What is held by others now may be let go; what is larger than the whole cache never fits.
      throw new AppError(neededBytes > this.#maxBytes ? 'model.package_invalid' : 'worker.overloaded', {
        message: `The package needs ${neededBytes} bytes more of the worker's cache; ${Math.max(0, this.#maxBytes - kept)} are free.`,
      });
    }
  }

  async #unusedOldestFirst(): Promise<string[]> {
    const packages = join(this.#directory, 'packages');
    const unused = (await readdir(packages)).filter((digest) => !this.#inUse.has(digest));
    const dated = await Promise.all(unused.map(async (digest) => ({ digest, usedAtMs: (await stat(join(packages, digest))).mtimeMs })));
    return dated.sort((a, b) => a.usedAtMs - b.usedAtMs).map((entry) => entry.digest);
  }

  async #removeUnlinkedBlobs(): Promise<void> {
    for (const name of await readdir(join(this.#directory, 'blobs'))) {
      const blob = this.#blob(name);
      if ((await stat(blob)).nlink === 1) await rm(blob, { force: true });
    }
  }

  async #keptBytes(): Promise<number> {
    let total = 0;
    for (const name of await readdir(join(this.#directory, 'blobs'))) total += (await stat(this.#blob(name))).size;
    return total;
  }
}

function folderName(digest: string, gid: number | undefined): string {
  return gid === undefined ? digest : `${digest}-${gid}`;
}

const GROUP_FOLDER = /-\d+$/;

/** SHA-256 over the sorted `path sha256` lines: the same files give the same digest, whoever lists them. */
function packageDigest(files: readonly PackageFile[]): string {
  const lines = files.map((file) => `${file.path} ${file.sha256}\n`).sort();
  return createHash('sha256').update(lines.join('')).digest('hex');
}

function mismatch(file: PackageFile): AppError {
  return new AppError('artifact.digest_mismatch', {
    message: `The file ${file.path} of the package does not have the announced size and digest.`,
  });
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

function once(act: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    act();
  };
}
