import { closeSync, existsSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';

const MAX_BYTES = 10 * 1_048_576;
/** `x.log.1` is the youngest of the old ones. */
const KEPT_FILES = 3;

/**
 * A log file of bounded size. A log that cannot be written (a full disk) must not stop what it tells of:
 * lines are dropped until it can be written again.
 */
export class RotatingLog {
  readonly #file: string;
  readonly #maxBytes: number;
  #handle: number | null = null;
  #sizeBytes = 0;

  constructor(file: string, maxBytes = MAX_BYTES) {
    this.#file = file;
    this.#maxBytes = maxBytes;
  }

  write(line: string): void {
    const bytes = Buffer.from(`${line}\n`);
    try {
      if (this.#handle !== null && this.#sizeBytes + bytes.length > this.#maxBytes) this.#rotate();
      this.#handle ??= this.#open();
      writeSync(this.#handle, bytes);
      this.#sizeBytes += bytes.length;
    } catch {
      this.close();
    }
  }

  close(): void {
    if (this.#handle !== null) closeSync(this.#handle);
    this.#handle = null;
  }

  #open(): number {
    const handle = openSync(this.#file, 'a', 0o600);
    this.#sizeBytes = fstatSync(handle).size;
    return handle;
  }

  #rotate(): void {
    this.close();
    for (let number = KEPT_FILES - 1; number >= 1; number--) {
      if (existsSync(`${this.#file}.${number}`)) renameSync(`${this.#file}.${number}`, `${this.#file}.${number + 1}`);
    }
    renameSync(this.#file, `${this.#file}.1`);
  }
}
