import type { Logger } from '@weir/platform/telemetry';
import type { ServingGroup } from './serving-group.ts';

/** Memory of a process without models, in bytes. */
const EMPTY_PROCESS_BYTES = 268_435_456;
/** Memory that nothing accounts for before a process is replaced: ONNX Runtime leaks where sessions are created and released. */
const UNACCOUNTED_FACTOR = 1.5;
const UNACCOUNTED_BYTES = 512 * 1_048_576;

/** Does the process hold much more memory than its models and sequences account for? */
export function isLeaking(group: Pick<ServingGroup, 'rssBytes' | 'sequenceBytes' | 'versions'>): boolean {
  const inMemory = group.versions().filter(({ state }) => state === 'in-memory');
  const accounted = EMPTY_PROCESS_BYTES + group.sequenceBytes + inMemory.reduce((sum, { bytes }) => sum + bytes, 0);
  return group.rssBytes >= accounted * UNACCOUNTED_FACTOR + UNACCOUNTED_BYTES;
}

/**
 * Moves the sequences of a process to its successor, version by version. After each version its calls go to the successor.
 *
 * @param onMoved the successor takes the calls of one more version
 */
export async function handOver(group: ServingGroup, successor: ServingGroup, logger: Logger, onMoved: () => void): Promise<void> {
  for (const { placed } of group.versions()) {
    const { versionId } = placed;
    try {
      const sequences = await group.moveSequences(versionId, successor);
      if (sequences > 0) logger.info({ versionId, sequences }, 'sequences were moved to another process');
    } catch (error) {
      logger.warn({ versionId, err: error }, 'the sequences of a version were lost with its process');
    }
    group.forget(versionId);
    onMoved();
  }
}
