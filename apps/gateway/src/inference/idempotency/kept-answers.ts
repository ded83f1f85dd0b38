import { isUtf8 } from 'node:buffer';
import { mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { usageQuantitySchema, type UsageQuantity } from '@weir/contracts';
import type { Clock, Money } from '@weir/kernel';
import type { EncodedMessage } from '@weir/open-inference';
import type { Logger } from '@weir/platform/telemetry';
import { z } from 'zod';
import { decodeChunk, lineBytes, segmentName, segmentSequence, type SpoolRecord } from '../../spool/segment.ts';
import { SpoolWriter, type WrittenGroup } from '../../spool/spool-writer.ts';
import { KEY_LIFE_MS, type CallIdentity } from './idempotency-key.ts';
import { UsedKeys } from './used-keys.ts';

/** An answer as it was given, and what was recorded of it. */
export interface KeptAnswer {
  readonly message: EncodedMessage;
  readonly model: string;
  readonly version: string;
  readonly receiptId: string;
  readonly quantities: readonly UsageQuantity[];
  readonly cost: Money;
}

export interface KeptAnswersOptions {
  /** Its own folder. */
  readonly directory: string;
  /** Bytes on the disk; when they are used up, the oldest answers go. */
  readonly maxBytes: number;
  /** Keys in use within 24 hours; see `UsedKeys`. */
  readonly maxKeys: number;
}

/** A larger answer is not stored: a repeat of its call is refused. */
const MAX_ANSWER_BYTES = 4 * 1_048_576;
const MAX_PENDING_BYTES = 16 * 1_048_576;
/** A tenant may fill this part of the room, so that none drives out what others may need again. */
const SHARE_OF_A_TENANT = 1 / 4;
/** Files among which the room is divided: what goes, goes by the file. */
const SEGMENTS = 16;
/** A file holds the answers of at most this long, and is deleted when the last of them has expired. */
const SEGMENT_LIFE_MS = 3_600_000;

const headSchema = z.object({
  keyDigest: z.string(),
  callDigest: z.string(),
  keptAtMs: z.number(),
  headers: z.record(z.string(), z.string()),
  /** `none`: the call was executed, and its answer is not stored. */
  encoding: z.enum(['utf8', 'base64', 'none']),
  model: z.string(),
  version: z.string(),
  receiptId: z.string(),
  quantities: z.array(usageQuantitySchema),
  cost: z.object({ amount: z.string(), currency: z.string() }),
});
/** What a line says before the answer's body. */
type Head = z.infer<typeof headSchema>;
/** Stands between the head and the body: JSON writes tabs in texts otherwise. */
const SEPARATOR = '\t';
const NEW_LINE = '\n';
const NOTHING = Buffer.alloc(0);

interface Entry {
  readonly tenantId: string;
  readonly expiresAtMs: number;
  readonly sequence: number;
  readonly offset: number;
  readonly bytes: number;
}

interface Segment {
  bytes: number;
  /** When its last answer expires. */
  expiresAtMs: number;
  readonly keyDigests: string[];
}

/**
 * Answers of calls with an idempotency key, on the disk for 24 hours and a little: until the file that they are in is
 * deleted. An answer is written (not fsynced) before it is sent, so it outlives the death of the process; a power cut
 * may lose it, and its call then runs again under the same receipt. That a key was used is remembered in memory too, so
 * a large answer, or many answers, do not make a call run again under the same receipt while this process lives. The next process knows
 * the keys that were stored: those beyond a tenant's share, and those of evicted segments, it does not.
 */
export class KeptAnswers {
  readonly #options: KeptAnswersOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #writer: SpoolWriter;
  readonly #entries = new Map<string, Entry>();
  /** In order of age. */
  readonly #segments = new Map<number, Segment>();
  /** Bytes of stored answers by tenant. */
  readonly #bytesOf = new Map<string, number>();
  readonly #pending = new Map<SpoolRecord, Head>();
  /** Keys whose call was executed, with or without a stored answer. */
  readonly usedKeys: UsedKeys;
  #totalBytes = 0;
  #segmentBegunAtMs: number;

  private constructor(options: KeptAnswersOptions, clock: Clock, logger: Logger, firstSequence: number) {
    this.#options = options;
    this.#clock = clock;
    this.#logger = logger;
    this.usedKeys = new UsedKeys(clock, options.maxKeys);
    this.#segmentBegunAtMs = clock.now();
    this.#writer = new SpoolWriter({
      directory: options.directory,
      firstSequence,
      sync: 'write',
      segmentBytes: Math.ceil(options.maxBytes / SEGMENTS),
      maxPendingBytes: MAX_PENDING_BYTES,
      callsUnderWay: () => 0,
      onWritten: (group) => this.#index(group),
    });
  }

  /** Finds the answers that earlier processes kept; deletes those that have expired. */
  static async open(options: KeptAnswersOptions, clock: Clock, logger: Logger): Promise<KeptAnswers> {
    await mkdir(options.directory, { recursive: true, mode: 0o700 });
    const sequences = (await readdir(options.directory))
      .map(segmentSequence)
      .filter((sequence) => sequence !== null)
      .sort((a, b) => a - b);
    const answers = new KeptAnswers(options, clock, logger, (sequences.at(-1) ?? 0) + 1);
    for (const sequence of sequences) await answers.#inherit(sequence);
    await answers.sweep();
    return answers;
  }

  /** Bytes on the disk. */
  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** The answer that is kept under the key; null when there is none, or the disk has lost it. */
  async find(keyDigest: string): Promise<KeptAnswer | null> {
    const entry = this.#live(keyDigest);
    if (entry === undefined) return null;
    try {
      const [record] = decodeChunk(await this.#read(entry)).records;
      const line = record === undefined ? null : lineOf(record);
      if (line !== null) return answerOf(line.head, line.body);
      this.#logger.error({ segment: segmentName(entry.sequence) }, 'a stored answer is damaged; a repeat of its call is refused');
    } catch (error) {
      this.#logger.error(
        { err: error, segment: segmentName(entry.sequence) },
        'a stored answer cannot be read; a repeat of its call is refused',
      );
    }
    return null;
  }

  /**
   * Remembers that a key was used, and stores its answer where there is room for it. Never fails: a repeat of a call whose
   * answer is not stored is refused.
   */
  async keep(identity: CallIdentity, tenantId: string, answer: KeptAnswer): Promise<void> {
    const { message, ...rest } = answer;
    const usedAtMs = this.#clock.now();
    this.usedKeys.add(identity.keyDigest, { callDigest: identity.callDigest, receiptId: answer.receiptId, tenantId, usedAtMs });
    // Text with line breaks would not be one line.
    const encoding = isUtf8(message.body) && !message.body.includes(NEW_LINE) ? 'utf8' : 'base64';
    const head: Head = {
      ...identity,
      ...rest,
      quantities: [...rest.quantities],
      keptAtMs: usedAtMs,
      headers: message.headers,
      encoding,
    };
    const record = recordOf(tenantId, head, message.body);
    if (this.#hasRoomFor(tenantId, record)) return this.#store(head, record);
    const withoutAnswer: Head = { ...head, headers: {}, encoding: 'none' };
    const mark = recordOf(tenantId, withoutAnswer, NOTHING);
    // So that the next process knows too that the key was used. Within the tenant's share, like answers: marks are in the same
    // segments, and beyond the share they would evict what other tenants have stored.
    if (this.#hasRoomFor(tenantId, mark)) await this.#store(withoutAnswer, mark);
  }

  /** Deletes what has expired; called each minute. */
  async sweep(): Promise<void> {
    const now = this.#clock.now();
    if (now - this.#segmentBegunAtMs >= SEGMENT_LIFE_MS) {
      this.#writer.endSegment();
      this.#segmentBegunAtMs = now;
    }
    for (const [sequence, segment] of this.#segments) if (segment.expiresAtMs <= now) await this.#drop(sequence, segment);
    this.usedKeys.sweep();
  }

  async close(): Promise<void> {
    await this.#writer.close();
  }

  async #store(head: Head, record: SpoolRecord): Promise<void> {
    try {
      await this.#makeRoom(lineBytes(record));
      this.#pending.set(record, head);
      await this.#writer.append(record);
    } catch (error) {
      this.#logger.warn({ err: error }, 'an answer could not be stored; a repeat of its call is refused');
    } finally {
      this.#pending.delete(record);
    }
  }

  #live(keyDigest: string): Entry | undefined {
    const entry = this.#entries.get(keyDigest);
    return entry !== undefined && entry.expiresAtMs > this.#clock.now() ? entry : undefined;
  }

  async #read({ sequence, offset, bytes }: Entry): Promise<Buffer> {
    const handle = await open(path.join(this.#options.directory, segmentName(sequence)), 'r');
    try {
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(bytes), 0, bytes, offset);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  }

  async #inherit(sequence: number): Promise<void> {
    const content = await readFile(path.join(this.#options.directory, segmentName(sequence)));
    const { records, offsets, damagedLines } = decodeChunk(content);
    if (damagedLines > 0)
      this.#logger.warn(
        { damagedLines, segment: segmentName(sequence) },
        'stored answers are damaged; their calls run again when they are repeated',
      );
    this.#segments.set(sequence, { bytes: content.length, expiresAtMs: 0, keyDigests: [] });
    this.#totalBytes += content.length;
    for (const [index, record] of records.entries()) {
      const head = lineOf(record)?.head;
      if (head === undefined) continue;
      const { keyDigest, callDigest, receiptId, keptAtMs } = head;
      this.usedKeys.add(keyDigest, { callDigest, receiptId, tenantId: record.key, usedAtMs: keptAtMs });
      this.#add(record.key, head, { sequence, offset: offsets[index] ?? 0, bytes: lineBytes(record) });
    }
  }

  #index({ sequence, start, records }: WrittenGroup): void {
    let offset = start;
    for (const record of records) {
      const head = this.#pending.get(record);
      const bytes = lineBytes(record);
      this.#totalBytes += bytes;
      const segment = this.#segments.get(sequence) ?? { bytes: 0, expiresAtMs: 0, keyDigests: [] };
      segment.bytes += bytes;
      this.#segments.set(sequence, segment);
      if (head !== undefined) this.#add(record.key, head, { sequence, offset, bytes });
      offset += bytes;
    }
  }

  #add(tenantId: string, { keyDigest, keptAtMs, encoding }: Head, place: Pick<Entry, 'sequence' | 'offset' | 'bytes'>): void {
    const segment = this.#segments.get(place.sequence);
    if (segment === undefined) return;
    this.#remove(keyDigest);
    const expiresAtMs = keptAtMs + KEY_LIFE_MS;
    segment.expiresAtMs = Math.max(segment.expiresAtMs, expiresAtMs);
    if (encoding === 'none') return;
    segment.keyDigests.push(keyDigest);
    this.#entries.set(keyDigest, { tenantId, expiresAtMs, ...place });
    this.#hold(tenantId, place.bytes);
  }

  #remove(keyDigest: string): void {
    const entry = this.#entries.get(keyDigest);
    if (entry === undefined) return;
    this.#entries.delete(keyDigest);
    this.#hold(entry.tenantId, -entry.bytes);
  }

  #hold(tenantId: string, bytes: number): void {
    const held = (this.#bytesOf.get(tenantId) ?? 0) + bytes;
    if (held > 0) this.#bytesOf.set(tenantId, held);
    else this.#bytesOf.delete(tenantId);
  }

  #hasRoomFor(tenantId: string, record: SpoolRecord): boolean {
    const bytes = lineBytes(record);
    return bytes <= MAX_ANSWER_BYTES && (this.#bytesOf.get(tenantId) ?? 0) + bytes <= this.#options.maxBytes * SHARE_OF_A_TENANT;
  }

  /** Deletes the oldest files until `bytes` more fit; never the one that is being written. */
  async #makeRoom(bytes: number): Promise<void> {
    for (const [sequence, segment] of this.#segments) {
      const isFull = this.#totalBytes + bytes > this.#options.maxBytes;
      if (!isFull || sequence >= this.#writer.end.sequence) return;
      await this.#drop(sequence, segment);
    }
  }

  async #drop(sequence: number, segment: Segment): Promise<void> {
    // Out of the index before it is gone from the disk, and once: others may be at it too.
    if (!this.#segments.delete(sequence)) return;
    this.#totalBytes -= segment.bytes;
    for (const keyDigest of segment.keyDigests) if (this.#entries.get(keyDigest)?.sequence === sequence) this.#remove(keyDigest);
    await rm(path.join(this.#options.directory, segmentName(sequence)), { force: true });
  }
}

function recordOf(tenantId: string, head: Head, body: Buffer): SpoolRecord {
  return { key: tenantId, value: JSON.stringify(head) + SEPARATOR + (head.encoding === 'none' ? '' : body.toString(head.encoding)) };
}

/** What a record holds; null when this process does not understand it. */
function lineOf({ value }: SpoolRecord): { readonly head: Head; readonly body: string } | null {
  const end = value.indexOf(SEPARATOR);
  const head = headSchema.safeParse(parsed(value.slice(0, end)));
  return head.success ? { head: head.data, body: value.slice(end + SEPARATOR.length) } : null;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function answerOf({ headers, encoding, model, version, receiptId, quantities, cost }: Head, body: string): KeptAnswer | null {
  if (encoding === 'none') return null;
  return { message: { headers, body: Buffer.from(body, encoding) }, model, version, receiptId, quantities, cost };
}
