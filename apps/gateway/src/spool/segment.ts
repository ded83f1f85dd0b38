import { crc32 } from 'node:zlib';

/** What a line of a segment holds: a usage event on its way to the bus, or an answer that is kept. */
export interface SpoolRecord {
  /** The tenant: orders an event on the bus. Holds no white space. */
  readonly key: string;
  /** The event's envelope, or the answer; holds no line break. */
  readonly value: string;
}

const CHECKSUM_DIGITS = 8;
const NEW_LINE = 0x0a;

/** A record as a line of a segment: CRC-32 of the rest in hexadecimal, the key, the value. */
export function encodeRecord(record: SpoolRecord): string {
  const body = `${record.key} ${record.value}`;
  return `${crc32(body).toString(16).padStart(CHECKSUM_DIGITS, '0')} ${body}\n`;
}

/** Bytes of the line that a record is. */
export function lineBytes({ key, value }: SpoolRecord): number {
  return CHECKSUM_DIGITS + Buffer.byteLength(key) + Buffer.byteLength(value) + 3;
}

export interface DecodedChunk {
  readonly records: readonly SpoolRecord[];
  /** Where each record's line begins in the chunk. */
  readonly offsets: readonly number[];
  /** Bytes of the chunk that whole lines took; the rest is the beginning of a line. */
  readonly consumedBytes: number;
  /** Lines that were whole but whose checksum is wrong: the disk lost them. */
  readonly damagedLines: number;
}

/** Reads the whole lines at the start of `chunk`. */
export function decodeChunk(chunk: Buffer): DecodedChunk {
  const records: SpoolRecord[] = [];
  const offsets: number[] = [];
  let damagedLines = 0;
  let start = 0;
  for (let end = chunk.indexOf(NEW_LINE, start); end !== -1; end = chunk.indexOf(NEW_LINE, start)) {
    const record = decodeLine(chunk.toString('utf8', start, end));
    if (record === null) damagedLines++;
    else {
      records.push(record);
      offsets.push(start);
    }
    start = end + 1;
  }
  return { records, offsets, consumedBytes: start, damagedLines };
}

function decodeLine(line: string): SpoolRecord | null {
  const body = line.slice(CHECKSUM_DIGITS + 1);
  const keyEnd = body.indexOf(' ');
  if (keyEnd < 1 || crc32(body) !== Number.parseInt(line.slice(0, CHECKSUM_DIGITS), 16)) return null;
  return { key: body.slice(0, keyEnd), value: body.slice(keyEnd + 1) };
}

const NAME = /^(\d{12})\.spool$/;

export function segmentName(sequence: number): string {
  return `${String(sequence).padStart(12, '0')}.spool`;
}

/** The sequence number in a segment's file name; null for other files. */
export function segmentSequence(fileName: string): number | null {
  const match = NAME.exec(fileName);
  return match === null ? null : Number(match[1]);
}
