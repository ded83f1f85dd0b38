import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { AppError } from '@weir/kernel';
import type { ByteSource } from './byte-source.ts';

/** Bytes of the file that a walk needs and does not have. */
interface Need {
  readonly offset: number;
  readonly length: number;
}

/**
 * Code that reads a file in one go although its bytes come in pieces: where a piece is missing it yields what it needs.
 * So a file with a hundred thousand fields costs a promise for each piece, and not for each field.
 */
export type Walk<T> = Generator<Need, T, Uint8Array>;

/** Most bytes that a tag and the number behind it have. */
const MAX_HEADER_BYTES = 20;
/** First piece behind a jump, mostly over weights: enough for what describes the next tensor. */
const MIN_PIECE_BYTES = 4_096;
const MAX_PIECE_BYTES = 262_144;
/** Two seconds of work. A model of a hundred thousand nodes has two million. */
const MAX_FIELDS = 4_000_000;

/** Runs a walk to its end over a source. Errors of the source are thrown as they are. */
export async function walkOver<T>(source: ByteSource, walk: Walk<T>): Promise<T> {
  let step = walk.next();
  while (step.done !== true) step = walk.next(await source.read(step.value.offset, step.value.length));
  return step.value;
}

/**
 * A place in a Protocol Buffers file, which moves from field to field and jumps over what nobody asks for. Holds one piece of at
 * most 256 KiB, whatever the file's size. What cannot be read is `model.package_invalid`, with the file and the byte.
 */
export class WireCursor {
  readonly #path: string;
  readonly #sizeBytes: number;
  #piece: Uint8Array = new Uint8Array();
  #reader = new BinaryReader(this.#piece);
  /** Where in the file the reader's piece begins. */
  #pieceStart = 0;
  #pieceBytes = MIN_PIECE_BYTES;
  #fieldStart = 0;
  #fieldEnd = 0;
  #fields = 0;

  /** Number of the field that the cursor stands on. */
  field = 0;
  /** How it is written. */
  wire: WireType = WireType.Varint;
  /** Its value when it is written as `Varint`, signed. */
  integer = 0n;

  /** @param path of the file in its package, for messages */
  constructor(path: string, sizeBytes: number) {
    this.#path = path;
    this.#sizeBytes = sizeBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** First byte of the field with its tag. */
  get fieldStart(): number {
    return this.#fieldStart;
  }

  /** First byte behind the field. */
  get fieldEnd(): number {
    return this.#fieldEnd;
  }

  /** First byte of a length-delimited field's content. */
  get contentStart(): number {
    return this.#position;
  }

  /** Bytes of a length-delimited field's content. */
  get contentBytes(): number {
    return this.#fieldEnd - this.#position;
  }

  get #position(): number {
    return this.#pieceStart + this.#reader.pos;
  }

  /** That the file cannot be read further, and why. */
  invalid(problem: string): AppError {
    return new AppError('model.package_invalid', {
      field: this.#path,
      message: `${this.#path} of the package is not an ONNX file that can be read: ${problem} (at byte ${this.#position})`,
    });
  }

  /** Goes into the message that the cursor stands on, or the file itself; gives its end, for `next`. */
  enter(what: string): number {
    if (this.wire !== WireType.LengthDelimited) throw this.invalid(`${what} is not written as a message`);
    const end = this.#fieldEnd;
    this.#fieldEnd = this.#position;
    return end;
  }

  /** The whole file as a message. */
  enterFile(): number {
    return this.#sizeBytes;
  }

  /** Moves to the next field of the message that ends at `end`, over what was not read of this one; false at its end. */
  *next(end: number): Walk<boolean> {
    this.#jumpTo(this.#fieldEnd);
    this.#fieldStart = this.#fieldEnd;
    if (this.#fieldEnd === end) return false;
    if (++this.#fields > MAX_FIELDS) throw this.invalid(`more than ${MAX_FIELDS} fields`);
    if (!this.#has(MAX_HEADER_BYTES)) yield* this.#fill(MAX_HEADER_BYTES);
    try {
      this.#readHeader(this.#reader);
    } catch (error) {
      throw error instanceof AppError ? error : this.#unreadable();
    }
    if (this.#fieldEnd > end) throw this.invalid('a field is longer than what it stands in');
    return true;
  }

  #readHeader(reader: BinaryReader): void {
    [this.field, this.wire] = reader.tag();
    switch (this.wire) {
      case WireType.Varint:
        this.integer = BigInt(reader.int64());
        this.#fieldEnd = this.#position;
        break;
      case WireType.Bit32:
        this.#fieldEnd = this.#position + 4;
        break;
      case WireType.Bit64:
        this.#fieldEnd = this.#position + 8;
        break;
      case WireType.LengthDelimited: {
        const length = Number(reader.uint64());
        this.#fieldEnd = this.#position + length;
        break;
      }
      default:
        throw this.invalid('it has groups, which ONNX has not');
    }
  }

  /** The text that the cursor stands on. */
  *text(what: string, maxBytes: number): Walk<string> {
    const content = yield* this.bytes(what, maxBytes);
    let text: string;
    try {
      text = utf8.decode(content);
    } catch {
      throw this.invalid(`${what} is not UTF-8`);
    }
    if (text.includes('\0')) throw this.invalid(`${what} holds a zero character`);
    return text;
  }

  /** The content of the field that the cursor stands on, at most `MAX_PIECE_BYTES` of it. */
  *bytes(what: string, maxBytes: number): Walk<Uint8Array> {
    if (this.wire !== WireType.LengthDelimited) throw this.invalid(`${what} is not written as text`);
    const length = this.#fieldEnd - this.#position;
    if (length > maxBytes) throw this.invalid(`${what} is longer than ${maxBytes} bytes`);
    if (!this.#has(length)) yield* this.#fill(length);
    const start = this.#position - this.#pieceStart;
    return this.#piece.subarray(start, start + length);
  }

  /** Adds the integers that the cursor stands on, one or packed, to a list that may hold `max`. */
  *integers(what: string, list: bigint[], max: number): Walk<void> {
    if (this.wire === WireType.Varint) {
      list.push(this.integer);
    } else {
      const end = this.enter(what);
      while (this.#position < end) {
        if (!this.#has(MAX_HEADER_BYTES)) yield* this.#fill(MAX_HEADER_BYTES);
        list.push(this.#nextInteger());
        if (list.length > max) break;
      }
      if (this.#position > end && list.length <= max) throw this.invalid(`${what} ends inside a number`);
      this.#fieldEnd = end;
    }
    if (list.length > max) throw this.invalid(`${what} has more than ${max} numbers`);
  }

  #nextInteger(): bigint {
    try {
      return BigInt(this.#reader.int64());
    } catch {
      throw this.#unreadable();
    }
  }

  /** Are the next `length` bytes in the piece, or all that the file still has? */
  #has(length: number): boolean {
    const pieceEnd = this.#pieceStart + this.#reader.len;
    return Math.min(this.#position + length, this.#sizeBytes) <= pieceEnd;
  }

  /** Takes a piece with the next `length` bytes, as far as the file has them. */
  *#fill(length: number): Walk<void> {
    const offset = this.#position;
    // Pieces grow while the file is read without jumps.
    this.#pieceBytes = offset <= this.#pieceStart + this.#reader.len ? Math.min(this.#pieceBytes * 2, MAX_PIECE_BYTES) : MIN_PIECE_BYTES;
    this.#piece = yield { offset, length: Math.min(Math.max(length, this.#pieceBytes), this.#sizeBytes - offset) };
    this.#reader = new BinaryReader(this.#piece);
    this.#pieceStart = offset;
  }

  #jumpTo(position: number): void {
    this.#reader.pos = position - this.#pieceStart;
  }

  #unreadable(): AppError {
    return this.invalid('it ends too early, or holds bytes that are no Protocol Buffers');
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
