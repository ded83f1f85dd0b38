import { close, constants, ftruncate, open, write } from 'node:fs';
import { open as openHandle, rm as removeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { AppError } from '@weir/kernel';
import { encodeRecord, segmentName, type SpoolRecord } from './segment.ts';

const openFile = promisify(open);
const closeFile = promisify(close);
const truncateFile = promisify(ftruncate);

/**
 * When an append counts as done. `commit`: the bytes are on the disk (one synchronous write for all that wait): survives a power cut.
 * `write`: the operating system has them: survives the death of the process, not of the machine.
 */
export type SyncPolicy = 'commit' | 'write';

export interface SpoolWriterOptions {
  readonly directory: string;
  readonly firstSequence: number;
  readonly sync: SyncPolicy;
  /** A segment that has grown past this is closed and the next begun. */
  readonly segmentBytes: number;
  /** Bytes that may wait to be written; beyond it appends are refused. */
  readonly maxPendingBytes: number;
  /** Calls under way that will append or have appended: whether a write is worth waiting for more. */
  readonly callsUnderWay: () => number;
  /** Told of every group that is durable, in order. */
  readonly onWritten: (group: WrittenGroup) => void;
}

/** Records that were written together, and where. */
export interface WrittenGroup {
  readonly sequence: number;
  readonly start: number;
  readonly end: number;
  readonly records: readonly SpoolRecord[];
}

interface Waiting {
  readonly record: SpoolRecord;
  readonly line: string;
  resolve(): void;
  reject(error: AppError): void;
}

/** When at least this many calls are under way that have not appended yet, a write waits for some of them … */
const MIN_SIBLINGS = 4;
/** … this long: a write costs the processor as much as several calls. PostgreSQL's commit_siblings and commit_delay do the same. */
const GROUP_DELAY_MS = 1;

/**
 * Appends records to segments with group commit: everything that arrives while a write is under way shares the next
 * write and sync. Never appends to a segment of an earlier process, whose last line may be torn.
 */
export class SpoolWriter {
  readonly #options: SpoolWriterOptions;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #running: Promise<void> | null = null;
  #file: number | null = null;
  #sequence: number;
  #length = 0;
  #totalBytes = 0;
  #isClosed = false;
  #isSegmentEnded = false;

  constructor(options: SpoolWriterOptions) {
    this.#options = options;
    this.#sequence = options.firstSequence;
  }

  /** The segment being written, and how many of its bytes are whole records. */
  get end(): { readonly sequence: number; readonly length: number } {
    return { sequence: this.#sequence, length: this.#length };
  }

  /** Bytes written since the start. */
  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** @throws usage.unrecordable the disk refuses, or too much waits for it */
  append(record: SpoolRecord): Promise<void> {
    if (this.#isClosed) return Promise.reject(new AppError('usage.unrecordable'));
    const line = encodeRecord(record);
    if (this.#waitingBytes + line.length > this.#options.maxPendingBytes) return Promise.reject(new AppError('usage.unrecordable'));
    this.#waitingBytes += line.length;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ record, line, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** What is appended from now on goes to a new segment. */
  endSegment(): void {
    this.#isSegmentEnded = true;
  }

  /** Writes what waits, then closes the segment. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#running;
    if (this.#file !== null) await closeFile(this.#file);
    this.#file = null;
  }

  async #run(): Promise<void> {
    // One turn of the event loop, so that calls settled in the same turn share a write.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      if (this.#options.callsUnderWay() - this.#waiting.length >= MIN_SIBLINGS) await sleep(GROUP_DELAY_MS);
      const batch = this.#waiting;
      this.#waiting = [];
      this.#waitingBytes = 0;
      try {
        await this.#write(batch);
        for (const one of batch) one.resolve();
      } catch (error) {
        const refusal = new AppError('usage.unrecordable', { cause: error });
        for (const one of batch) one.reject(refusal);
      }
    }
    this.#running = null;
  }

  async #write(batch: readonly Waiting[]): Promise<void> {
    const file = await this.#open();
    const bytes = Buffer.from(batch.map((one) => one.line).join(''), 'utf8');
    try {
      await writeAll(file, bytes, this.#length);
    } catch (error) {
      // No caller has been told that these are durable: take back what may be half written, and start a new segment.
      await truncateFile(file, this.#length).catch(() => undefined);
      await closeFile(file).catch(() => undefined);
      this.#file = null;
      if (this.#length === 0) await removeFile(path.join(this.#options.directory, segmentName(this.#sequence))).catch(() => undefined);
      // Also when the empty file could not be removed, so that the next one does not meet it.
      this.#sequence++;
      this.#length = 0;
      throw error;
    }
    const start = this.#length;
    this.#length += bytes.length;
    this.#totalBytes += bytes.length;
    this.#options.onWritten({ sequence: this.#sequence, start, end: this.#length, records: batch.map((one) => one.record) });
  }

  async #open(): Promise<number> {
    if (this.#file !== null && (this.#isSegmentEnded || this.#length >= this.#options.segmentBytes)) {
      await closeFile(this.#file);
      this.#file = null;
      this.#sequence++;
      this.#length = 0;
    }
    this.#isSegmentEnded = false;
    if (this.#file === null) {
      // O_DSYNC: a write returns when its bytes are on the disk, in one call where write and fdatasync are two.
      const durable = this.#options.sync === 'commit' ? constants.O_DSYNC : 0;
      const file = path.join(this.#options.directory, segmentName(this.#sequence));
      this.#file = await openFile(file, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | durable, 0o600);
      if (this.#options.sync === 'commit') await syncDirectory(this.#options.directory);
    }
    return this.#file;
  }
}

/** Writes all of `bytes` at `position`. With callbacks: on this path a promise for each step costs as much as the step. */
function writeAll(file: number, bytes: Buffer, position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const writeFrom = (written: number): void => {
      write(file, bytes, written, bytes.length - written, position + written, (error, count) => {
        if (error !== null) reject(error);
        else if (written + count < bytes.length) writeFrom(written + count);
        else resolve();
      });
    };
    writeFrom(0);
  });
}

/** Makes a new file's name durable, not only its content. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await openHandle(directory, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
