import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { usageRecorded } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { EVENT_TYPE_HEADER, TRACEPARENT_HEADER, type EventBus, type NewRecord } from '@weir/platform/bus';
import { isTracingEnabled, type Logger } from '@weir/platform/telemetry';
import { claimDirectory, type DirectoryClaim } from './directory-claim.ts';
import { RecentGroups } from './recent-groups.ts';
import { decodeChunk, segmentName, segmentSequence, type SpoolRecord } from './segment.ts';
import { SpoolWriter, type SyncPolicy } from './spool-writer.ts';

export interface UsageSpoolOptions {
  /** Its own folder: one process at a time. */
  readonly directory: string;
  readonly sync: SyncPolicy;
  /** Bytes that may wait to be shipped; when they are used up nothing more is served. */
  readonly maxBytes: number;
  readonly segmentBytes?: number;
}

const SEGMENT_BYTES = 16 * 1_048_576;
const MAX_PENDING_BYTES = 16 * 1_048_576;
/** Read and sent at once: some hundreds of events. */
const SHIP_CHUNK_BYTES = 262_144;
/** Time for a few more events to gather before a send; a batch of ten costs the bus little more than one event. */
const LINGER_MS = 50;
/** How often the position is written down. What was shipped after it is shipped again by the next process, which changes nothing. */
const CHECKPOINT_MS = 500;
const SEND_TIMEOUT_MS = 10_000;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5_000;
const POSITION_FILE = 'position.json';
const USAGE_HEADERS = { [EVENT_TYPE_HEADER]: usageRecorded.type };

interface Position {
  readonly sequence: number;
  readonly offset: number;
}

/**
 * Keeps usage events on the local disk until the bus has them. An event is durable before its call is answered;
 * after a crash the next process ships what was left. The bus may receive an event twice: readers know it by its id.
 */
export class UsageSpool {
  readonly #options: UsageSpoolOptions;
  readonly #bus: EventBus;
  readonly #logger: Logger;
  readonly #claim: DirectoryClaim;
  readonly #writer: SpoolWriter;
  readonly #recent: RecentGroups;
  readonly #shipping: Promise<void>;
  readonly #stop = new AbortController();
  #position: Position;
  #checkpointedAt = 0;
  #reading: { readonly sequence: number; readonly handle: FileHandle } | null = null;
  /** Bytes of earlier processes' segments that are not shipped yet. */
  #inheritedBytes: number;
  #shippedBytes = 0;
  /** When usage was last shipped, or began to wait. */
  #progressAtMs = performance.now();
  #hasFailed = false;
  #failedWrites = 0;
  readonly #calls: { underWay: number };
  #wake: (() => void) | null = null;
  #closed: Promise<void> | null = null;

  private constructor(
    options: UsageSpoolOptions,
    bus: EventBus,
    logger: Logger,
    claim: DirectoryClaim,
    writer: SpoolWriter,
    recent: RecentGroups,
    calls: { underWay: number },
    position: Position,
    inheritedBytes: number,
  ) {
    this.#options = options;
    this.#bus = bus;
    this.#logger = logger;
    this.#claim = claim;
    this.#writer = writer;
    this.#recent = recent;
    this.#calls = calls;
    this.#position = position;
    this.#inheritedBytes = inheritedBytes;
    this.#shipping = this.#ship();
  }

  /** Claims the folder, finds what earlier processes left, and begins to ship it. */
  static async open(options: UsageSpoolOptions, bus: EventBus, logger: Logger): Promise<UsageSpool> {
    await mkdir(options.directory, { recursive: true, mode: 0o700 });
    const claim = claimDirectory(options.directory);
    const sequences = await segmentsIn(options.directory);
    const position = await readPosition(options.directory, sequences);
    let inheritedBytes = 0;
    for (const sequence of sequences) {
      const file = path.join(options.directory, segmentName(sequence));
      // Shipped, but the process ended before it deleted the segment.
      if (sequence < position.sequence) await rm(file, { force: true });
      else inheritedBytes += Math.max(0, (await stat(file)).size - (sequence === position.sequence ? position.offset : 0));
    }
    const recent = new RecentGroups();
    const calls = { underWay: 0 };
    const writer = new SpoolWriter({
      directory: options.directory,
      firstSequence: Math.max(position.sequence, sequences.at(-1) ?? 0) + 1,
      sync: options.sync,
      segmentBytes: options.segmentBytes ?? SEGMENT_BYTES,
      maxPendingBytes: MAX_PENDING_BYTES,
      callsUnderWay: () => calls.underWay,
      onWritten: (group) => recent.add(group),
    });
    return new UsageSpool(options, bus, logger, claim, writer, recent, calls, position, inheritedBytes);
  }

  /** Bytes that wait to be shipped. */
  get pendingBytes(): number {
    return Math.max(0, this.#inheritedBytes + this.#writer.totalBytes - this.#shippedBytes);
  }

  /** Milliseconds for which usage has waited without any of it being shipped; 0 when none waits. */
  get waitingMs(): number {
    return this.pendingBytes === 0 ? 0 : performance.now() - this.#progressAtMs;
  }

  /** Did the last write fail, so that nothing is served? */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Records that could not be written since the start. */
  get failedWrites(): number {
    return this.#failedWrites;
  }

  /** Is there room for more? */
  get hasRoom(): boolean {
    return this.pendingBytes < this.#options.maxBytes;
  }

  /**
   * Tells of a call that will append when it has run, so that no work is done that cannot be recorded, and that calls
   * under way together share a write.
   *
   * @returns ends the call; once
   * @throws usage.unrecordable the spool is full
   */
  enter(): () => void {
    if (!this.hasRoom) throw new AppError('usage.unrecordable');
    this.#calls.underWay++;
    return () => this.#calls.underWay--;
  }

  /**
   * Resolves when the event is durable.
   *
   * @throws usage.unrecordable the spool is full or the disk refuses
   */
  async append(record: SpoolRecord): Promise<void> {
    if (!this.hasRoom) throw new AppError('usage.unrecordable');
    if (this.pendingBytes === 0) this.#progressAtMs = performance.now();
    try {
      await this.#writer.append(record);
      this.#hasFailed = false;
    } catch (error) {
      this.#hasFailed = true;
      this.#failedWrites++;
      throw error;
    } finally {
      // Also after a failure, which ends the segment: deleting what was shipped makes room on a full disk.
      this.#wake?.();
    }
  }

  /** Ships what it can within `timeoutMs`, then releases the directory; the rest is shipped by the next process. Once, however often it is called. */
  close(timeoutMs: number): Promise<void> {
    this.#closed ??= this.#close(timeoutMs);
    return this.#closed;
  }

  async #close(timeoutMs: number): Promise<void> {
    await this.#writer.close();
    const deadline = Date.now() + timeoutMs;
    while (this.pendingBytes > 0 && Date.now() < deadline) {
      this.#wake?.();
      await sleep(LINGER_MS);
    }
    this.#stop.abort();
    this.#wake?.();
    await this.#shipping;
    await this.#stopReading();
    try {
      await this.#checkpoint();
    } catch (error) {
      this.#logger.warn({ err: error }, 'the position of the spool could not be written: the next process sends some usage again');
    } finally {
      this.#claim.release();
    }
  }

  async #ship(): Promise<void> {
    let retryMs = FIRST_RETRY_MS;
    while (!this.#stop.signal.aborted) {
      try {
        const hasShipped = await this.#shipOnce();
        retryMs = FIRST_RETRY_MS;
        if (!hasShipped) await this.#untilWoken();
      } catch (error) {
        this.#logger.warn({ err: error, pendingBytes: this.pendingBytes, retryMs }, 'usage could not be shipped; it stays in the spool');
        await sleep(retryMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
        retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
      }
    }
  }

  /** Ships what was written last from memory, else one chunk of a file; false when there is nothing to ship. */
  async #shipOnce(): Promise<boolean> {
    const { sequence, offset } = this.#position;
    const recent = this.#recent.take(sequence, offset, SHIP_CHUNK_BYTES);
    if (recent !== null) {
      // When this fails, the next try finds the group gone from memory and reads the file.
      await this.#send(recent.records, recent.consumedBytes);
      return true;
    }
    const end = this.#writer.end;
    const isBeingWritten = sequence === end.sequence;
    const chunk = await this.#read(sequence, offset, isBeingWritten ? end.length - offset : SHIP_CHUNK_BYTES);
    const { records, consumedBytes, damagedLines } = decodeChunk(chunk);
    if (damagedLines > 0)
      this.#logger.error({ damagedLines, segment: segmentName(sequence) }, 'the spool holds damaged lines: usage was lost by the disk');
    if (consumedBytes === 0) return isBeingWritten || sequence > end.sequence ? false : this.#nextSegment(chunk.length);
    await this.#send(records, consumedBytes);
    return true;
  }

  async #send(records: readonly SpoolRecord[], bytes: number): Promise<void> {
    if (records.length > 0) await this.#bus.send(usageRecorded.topic, records.map(asUsage), { timeoutMs: SEND_TIMEOUT_MS });
    this.#shippedBytes += bytes;
    this.#progressAtMs = performance.now();
    this.#position = { sequence: this.#position.sequence, offset: this.#position.offset + bytes };
    if (Date.now() - this.#checkpointedAt >= CHECKPOINT_MS) await this.#checkpoint();
  }

  /** Up to `SHIP_CHUNK_BYTES` of a segment, but not past `limitBytes`; empty when the segment is not there. */
  async #read(sequence: number, offset: number, limitBytes: number): Promise<Buffer> {
    const length = Math.min(limitBytes, SHIP_CHUNK_BYTES);
    if (length <= 0) return Buffer.alloc(0);
    if (this.#reading?.sequence !== sequence) {
      await this.#stopReading();
      const handle = await openIfThere(path.join(this.#options.directory, segmentName(sequence)));
      if (handle === null) return Buffer.alloc(0);
      this.#reading = { sequence, handle };
    }
    const { bytesRead, buffer } = await this.#reading.handle.read(Buffer.allocUnsafe(length), 0, length, offset);
    return buffer.subarray(0, bytesRead);
  }

  async #stopReading(): Promise<void> {
    const reading = this.#reading;
    this.#reading = null;
    await reading?.handle.close();
  }

  /** Leaves a segment behind that is wholly shipped; what is left of it is a line that a crash tore before it was durable. */
  async #nextSegment(tornBytes: number): Promise<boolean> {
    const done = this.#position.sequence;
    const following = (await segmentsIn(this.#options.directory)).find((sequence) => sequence > done) ?? this.#writer.end.sequence;
    this.#shippedBytes += tornBytes;
    await this.#stopReading();
    this.#position = { sequence: following, offset: 0 };
    // Before the position is written, for which a full disk has no room; the next process passes over a segment that is missing.
    await rm(path.join(this.#options.directory, segmentName(done)), { force: true });
    await this.#checkpoint();
    return true;
  }

  async #checkpoint(): Promise<void> {
    const file = path.join(this.#options.directory, POSITION_FILE);
    await writeFile(`${file}.new`, JSON.stringify(this.#position), { mode: 0o600 });
    await rename(`${file}.new`, file);
    this.#checkpointedAt = Date.now();
  }

  async #untilWoken(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (this.#stop.signal.aborted || this.#hasMore()) resolve();
    });
    this.#wake = null;
    await sleep(LINGER_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }

  #hasMore(): boolean {
    const end = this.#writer.end;
    return this.#position.sequence < end.sequence ? true : this.#position.offset < end.length;
  }
}

const TRACEPARENT = /"traceparent":"([\da-f-]{55})"/;

function asUsage(record: SpoolRecord): NewRecord {
  const traceparent = isTracingEnabled() ? TRACEPARENT.exec(record.value)?.[1] : undefined;
  return { ...record, headers: traceparent === undefined ? USAGE_HEADERS : { ...USAGE_HEADERS, [TRACEPARENT_HEADER]: traceparent } };
}

async function segmentsIn(directory: string): Promise<number[]> {
  const names = await readdir(directory);
  return names
    .map(segmentSequence)
    .filter((sequence) => sequence !== null)
    .sort((a, b) => a - b);
}

async function readPosition(directory: string, sequences: readonly number[]): Promise<Position> {
  const first: Position = { sequence: sequences[0] ?? 0, offset: 0 };
  try {
    const stored = JSON.parse(await readFile(path.join(directory, POSITION_FILE), 'utf8')) as Position;
    if (Number.isSafeInteger(stored.sequence) && Number.isSafeInteger(stored.offset) && stored.sequence >= first.sequence) return stored;
    return first;
  } catch {
    // No position, or one that a crash left unreadable: ship everything again; readers know what they have.
    return first;
  }
}

async function openIfThere(file: string): Promise<FileHandle | null> {
  try {
    return await open(file, 'r');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}
