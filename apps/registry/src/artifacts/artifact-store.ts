import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Writable, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AppError } from '@weir/kernel';
import { openFileSource, type FileSource } from '@weir/onnx';

/** Silence after which an upload counts as broken off. */
const SILENCE_LIMIT_MS = 30_000;

export interface ArtifactStoreOptions {
  readonly directory: string;
  readonly maxBytes: number;
}

/** The files of models on disk, each under the digest of its content: `sha256/ab/abcd…`. */
export class ArtifactStore {
  readonly #directory: string;
  readonly #maxBytes: number;

  constructor(options: ArtifactStoreOptions) {
    this.#directory = options.directory;
    this.#maxBytes = options.maxBytes;
  }

  /** Makes the folders and removes what an earlier process left half-written. */
  async open(): Promise<void> {
    await rm(join(this.#directory, 'incoming'), { recursive: true, force: true });
    await mkdir(join(this.#directory, 'incoming'), { recursive: true, mode: 0o700 });
  }

  /**
   * Keeps a content. It appears under its digest only when every byte is there, has the digest and is on disk;
   * a content that is there already is read and compared, and not written again.
   *
   * @param onBytes called with the number of bytes of each piece that arrives; what it throws ends the upload, and nothing is kept
   * @returns its size in bytes
   * @throws artifact.digest_mismatch the content has another digest; nothing is kept
   * @throws request.too_large        it is larger than the limit; nothing is kept
   * @throws request.cancelled        the sender broke off
   */
  async put(sha256: string, content: Readable, onBytes: (bytes: number) => void = () => undefined): Promise<number> {
    const isKnown = (await this.sizeOf(sha256)) !== null;
    const incoming = join(this.#directory, 'incoming', randomUUID());
    const target = isKnown ? nowhere() : createWriteStream(incoming, { mode: 0o600, flush: true });
    try {
      const { digest, sizeBytes } = await this.#receive(content, target, onBytes);
      if (digest !== sha256) throw new AppError('artifact.digest_mismatch', { field: 'digest' });
      if (!isKnown) await this.#settle(incoming, this.#pathOf(sha256));
      return sizeBytes;
    } finally {
      await rm(incoming, { force: true });
    }
  }

  /** Its size in bytes, or null when it is not there. */
  async sizeOf(sha256: string): Promise<number | null> {
    try {
      return (await stat(this.#pathOf(sha256))).size;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
      throw error;
    }
  }

  /** @throws artifact.not_found */
  async read(sha256: string): Promise<{ readonly content: Readable; readonly sizeBytes: number }> {
    const sizeBytes = await this.sizeOf(sha256);
    if (sizeBytes === null) throw new AppError('artifact.not_found');
    return { content: createReadStream(this.#pathOf(sha256)), sizeBytes };
  }

  /** A small content at once. @throws artifact.not_found */
  async readSmall(sha256: string, maxBytes: number): Promise<Buffer | null> {
    const sizeBytes = await this.sizeOf(sha256);
    if (sizeBytes === null) throw new AppError('artifact.not_found');
    return sizeBytes > maxBytes ? null : readFile(this.#pathOf(sha256));
  }

  /** A content to be read in pieces; whoever asks closes it. @throws artifact.not_found */
  async source(sha256: string): Promise<FileSource> {
    if ((await this.sizeOf(sha256)) === null) throw new AppError('artifact.not_found');
    return openFileSource(this.#pathOf(sha256));
  }

  #pathOf(sha256: string): string {
    if (!/^[0-9a-f]{64}$/.test(sha256)) throw new AppError('artifact.not_found');
    return join(this.#directory, 'sha256', sha256.slice(0, 2), sha256);
  }

  async #receive(content: Readable, target: Writable, onBytes: (bytes: number) => void): Promise<{ digest: string; sizeBytes: number }> {
    const hash = createHash('sha256');
    const maxBytes = this.#maxBytes;
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(), SILENCE_LIMIT_MS);
    let sizeBytes = 0;
    try {
      await pipeline(
        content,
        async function* check(chunks: AsyncIterable<Uint8Array>) {
          for await (const chunk of chunks) {
            timer.refresh();
            sizeBytes += chunk.length;
            if (sizeBytes > maxBytes) throw new AppError('request.too_large', { message: `A file may have ${maxBytes} bytes.` });
            onBytes(chunk.length);
            hash.update(chunk);
            yield chunk;
          }
        },
        target,
        { signal: silence.signal },
      );
    } catch (error) {
      if (silence.signal.aborted) throw new AppError('request.timeout', { message: `Nothing arrived for ${SILENCE_LIMIT_MS} ms.` });
      if (error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE')
        throw new AppError('request.cancelled', { cause: error });
      throw error;
    } finally {
      clearTimeout(timer);
    }
    return { digest: hash.digest('hex'), sizeBytes };
  }

  /** The name is on disk before anyone is told that the content is kept. */
  async #settle(incoming: string, path: string): Promise<void> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await rename(incoming, path);
    const folder = await open(dirname(path), 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }
}

function nowhere(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() });
}
