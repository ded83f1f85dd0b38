import { testSigningKeys } from '@weir/testing';
import type { ServingSettings } from '../serving/control-messages.ts';

/** Settings of a serving process with small bounds, whose runs may take a minute. */
export async function servingSettings(flightFile: string): Promise<ServingSettings> {
  const keys = await testSigningKeys();
  return {
    instanceId: 'worker-1',
    host: '127.0.0.1',
    logLevel: 'fatal',
    keySet: { keys: keys.keySet.keys.map((key) => ({ ...key })) },
    flightFile,
    executionProviders: ['cpu'],
    slots: 2,
    intraOpThreads: 1,
    queueLength: 16,
    queueWaitMs: 1_000,
    batchMs: 50,
    maxBatchRows: 16,
    runLimitMs: 60_000,
    defaultTimeoutMs: 30_000,
    bodyLimitBytes: 2 ** 20,
    maxElements: 10_000,
    maxItems: 16,
    maxTextCharacters: 1_000,
    maxImagePixels: 1_000,
    maxAudioSeconds: 1,
    maxSequences: 1,
    sequenceBytes: 1_024,
    sequenceIdleMs: 1_000,
  };
}
