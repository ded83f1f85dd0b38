import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { deserialize, serialize } from 'node:v8';
import type { MovedSequence } from './sequences.ts';

/** Writes sequences for the process that continues them. Both processes are of one trust class. */
export async function writeSequences(file: string, sequences: readonly MovedSequence[]): Promise<void> {
  await writeFile(file, serialize(sequences), { mode: 0o600 });
}

/** Reads what `writeSequences` wrote, and deletes the file. */
export async function readSequences(file: string, maxBytes: number): Promise<MovedSequence[]> {
  try {
    if ((await stat(file)).size > maxBytes) throw new RangeError('the states of the sequences take too much memory');
    return deserialize(await readFile(file)) as MovedSequence[];
  } finally {
    await rm(file, { force: true }).catch(() => undefined);
  }
}
