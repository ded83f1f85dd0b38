import { readFileSync } from 'node:fs';

/** An eighth of the process's memory is for the runs of its networks; the rest is for weights, requests, answers and V8. */
const RUN_SHARE = 8;
const UNLIMITED_RUN_BYTES = 512 * 1_048_576;

/**
 * Most memory that one run may be expected to take, in bytes. ONNX Runtime's arenas have no limit of their own that is reachable from
 * Node.js, and V8 aborts the process when it is V8 that meets the limit of the process: runs must stay well below it.
 *
 * @param slots runs at once
 */
export function runMemoryBytes(slots: number): number {
  try {
    const limit = /^Max data size\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    if (limit !== undefined) return Number(limit) / RUN_SHARE / slots;
  } catch {
    // Not Linux: the process has no limit.
  }
  return UNLIMITED_RUN_BYTES / slots;
}

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
