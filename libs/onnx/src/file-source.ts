import { open } from 'node:fs/promises';
import { AppError } from '@weir/kernel';
import type { ByteSource } from './byte-source.ts';

/** A file on disk; whoever opens it closes it. */
export interface FileSource extends ByteSource {
  close(): Promise<void>;
}

/** Opens a file for reading in pieces. Throws what the file system throws when it cannot. */
export async function openFileSource(path: string): Promise<FileSource> {
  const file = await open(path, 'r');
  const { size } = await file.stat();
  return {
    sizeBytes: size,
    read: async (offset, length) => {
      const content = new Uint8Array(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await file.read(content, filled, length - filled, offset + filled);
        // Somebody cut it while it was read.
        if (bytesRead === 0) throw new AppError('internal.error', { cause: new Error('a file became shorter while it was read') });
        filled += bytesRead;
      }
      return content;
    },
    close: () => file.close(),
  };
}
