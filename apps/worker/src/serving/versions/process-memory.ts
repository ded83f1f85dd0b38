import { readFileSync } from 'node:fs';

/** Bytes of memory that this process has for itself: not shared with others, not read from files. */
export function privateMemoryBytes(): number {
  try {
    const kibibytes = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
    if (kibibytes !== undefined) return Number(kibibytes) * 1024;
  } catch {
    // Not Linux: what the system counts as resident is near enough.
  }
  return process.memoryUsage.rss();
}
