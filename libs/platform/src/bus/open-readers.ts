interface Reader {
  close(): Promise<void>;
}

/** The subscriptions and followers of a bus that are not closed yet: closing the bus closes them. */
export class OpenReaders {
  private readonly open = new Set<Reader>();

  /** @returns closes the reader */
  add(reader: Reader): () => Promise<void> {
    this.open.add(reader);
    return async () => {
      await reader.close();
      this.open.delete(reader);
    };
  }

  async closeAll(): Promise<void> {
    await Promise.all([...this.open].map((reader) => reader.close()));
  }
}
