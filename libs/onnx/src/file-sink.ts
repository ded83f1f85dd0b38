import { open } from 'node:fs/promises';
import type { ByteSink } from './byte-sink.ts';

/** A file on disk; whoever creates it closes it. */
export interface FileSink extends ByteSink {
  /** When the bytes are with the operating system. */
  close(): Promise<void>;
}

/** Creates a file that there is not yet. Throws what the file system throws when it cannot. */
export async function createFileSink(path: string): Promise<FileSink> {
  const file = await open(path, 'wx', 0o600);
  return {
    write: async (content) => {
      for (let written = 0; written < content.length;)
        written += (await file.write(content, written, content.length - written)).bytesWritten;
    },
    close: () => file.close(),
  };
}
