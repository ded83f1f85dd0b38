import { describe, expect, it } from 'vitest';
import { isLeaking } from './group-succession.ts';
import type { GroupVersion } from './serving-group.ts';

const GIBIBYTE = 2 ** 30;
const aGroup = (rssBytes: number, sequenceBytes: number, ...bytes: number[]) => ({
  rssBytes,
  sequenceBytes,
  versions: (): GroupVersion[] =>
    bytes.map((size) => ({
      placed: {
        versionId: 'v',
        modelId: 'm',
        model: 'm',
        version: '1',
        ownerTenantId: 'platform',
        task: 'tensors',
        files: [],
        directory: '',
      },
      state: 'in-memory',
      isProven: true,
      isWanted: true,
      bytes: size,
      idleMs: 0,
      isBusy: false,
    })),
});

describe('a serving process', () => {
  it('leaks when it holds much more memory than its models and sequences account for', () => {
    expect(isLeaking(aGroup(GIBIBYTE, 0))).toBe(true);
    expect(isLeaking(aGroup(GIBIBYTE, 0, GIBIBYTE / 2))).toBe(false);
    expect(isLeaking(aGroup(4 * GIBIBYTE, 0, GIBIBYTE))).toBe(true);
    expect(isLeaking(aGroup(4 * GIBIBYTE, 2 * GIBIBYTE, GIBIBYTE))).toBe(false);
  });
});
