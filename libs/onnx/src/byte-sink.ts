/** A file that is written from its beginning to its end. */
export interface ByteSink {
  /** Adds bytes; they may be used again when it is done. */
  write(content: Uint8Array): Promise<void>;
}
