import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

/** Room for one run: an id and a mark. */
const SLOT_BYTES = 64;
const EMPTY = Buffer.alloc(SLOT_BYTES, ' ');

/**
 * What a serving process runs at each moment, in a file: it outlives the process, however it ends, and tells the
 * supervisor which versions may be at fault. Two small writes for each run, which the system keeps in memory.
 */
export class FlightRecord {
  readonly #file: number;
  readonly #free: number[] = [];
  #slots = 0;

  constructor(path: string) {
    this.#file = openSync(path, 'w', 0o600);
  }

  /** Notes that a run of the version has begun; the returned function notes its end. */
  began(versionId: string): () => void {
    const slot = this.#free.pop() ?? this.#slots++;
    const entry = Buffer.from(EMPTY);
    entry.write(versionId.slice(0, SLOT_BYTES), 'latin1');
    writeSync(this.#file, entry, 0, SLOT_BYTES, slot * SLOT_BYTES);
    return () => {
      writeSync(this.#file, EMPTY, 0, SLOT_BYTES, slot * SLOT_BYTES);
      this.#free.push(slot);
    };
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Versions that were running when the process that kept this record ended. */
export function readFlightRecord(path: string): string[] {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch {
    return [];
  }
  const found = new Set<string>();
  for (let at = 0; at < text.length; at += SLOT_BYTES) {
    const versionId = text.slice(at, at + SLOT_BYTES).trim();
    if (versionId !== '') found.add(versionId);
  }
  return [...found];
}
