/** A file that is read in pieces, in any order. */
export interface ByteSource {
  readonly sizeBytes: number;
  /** Exactly `length` bytes from `offset` on; both lie inside the file. The bytes are the caller's until its next read. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** A file that is in memory already. */
export function bufferSource(content: Uint8Array): ByteSource {
  return {
    sizeBytes: content.byteLength,
    read: (offset, length) => Promise.resolve(content.subarray(offset, offset + length)),
  };
}
