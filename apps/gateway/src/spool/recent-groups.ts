import type { SpoolRecord } from './segment.ts';
import type { WrittenGroup } from './spool-writer.ts';

/** Bytes of events that are kept in memory for shipping; when the bus is slower than that, they are read from the disk again. */
const MAX_BYTES = 4 * 1_048_576;

/** What was written last, so that events on their usual short way are not read back from the disk. */
export class RecentGroups {
  readonly #groups: WrittenGroup[] = [];
  #bytes = 0;

  add(group: WrittenGroup): void {
    this.#groups.push(group);
    this.#bytes += group.end - group.start;
    while (this.#bytes > MAX_BYTES) this.#drop();
  }

  /**
   * Records from the position on, as far as they are known in one segment, about `maxBytes` of them; null when the
   * position is not at the start of a known group.
   */
  take(
    sequence: number,
    offset: number,
    maxBytes: number,
  ): { readonly records: readonly SpoolRecord[]; readonly consumedBytes: number } | null {
    for (let first = this.#groups[0]; first !== undefined && isBefore(first, sequence, offset); first = this.#groups[0]) this.#drop();
    const records: SpoolRecord[] = [];
    let end = offset;
    for (
      let group = this.#groups[0];
      group !== undefined && group.sequence === sequence && group.start === end && end - offset < maxBytes;
      group = this.#groups[0]
    ) {
      records.push(...group.records);
      end = group.end;
      this.#drop();
    }
    return records.length === 0 ? null : { records, consumedBytes: end - offset };
  }

  #drop(): void {
    const dropped = this.#groups.shift();
    if (dropped !== undefined) this.#bytes -= dropped.end - dropped.start;
  }
}

function isBefore(group: WrittenGroup, sequence: number, offset: number): boolean {
  return group.sequence < sequence || (group.sequence === sequence && group.start < offset);
}
