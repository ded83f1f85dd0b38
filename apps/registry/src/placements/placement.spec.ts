import { describe, expect, it } from 'vitest';
import { decidePlacements, type PlacementQuestion } from './placement.ts';

const worker = (id: string, memoryBytes = 100) => ({ id, memoryBytes });
const version = (versionId: string, sizeBytes = 10) => ({ versionId, sizeBytes });
const at = (workerId: string, versionId: string) => ({ workerId, versionId });
const decide = (question: Partial<PlacementQuestion>) =>
  decidePlacements({ versions: [], placements: [], workers: [], replicas: 1, ...question });
const NOTHING = { place: [], withdraw: [], homeless: [] };

describe('a deployed version', () => {
  it('is placed on the emptiest worker', () => {
    expect(decide({ versions: [version('a'), version('b')], placements: [at('w1', 'a')], workers: [worker('w1'), worker('w2')] })).toEqual({
      ...NOTHING,
      place: [at('w2', 'b')],
    });
  });

  it('stays where it is, also when another worker is emptier', () => {
    expect(
      decide({ versions: [version('a'), version('b')], placements: [at('w1', 'a'), at('w1', 'b')], workers: [worker('w1'), worker('w2')] }),
    ).toEqual(NOTHING);
  });

  it('moves when its worker is gone, and its old placement is withdrawn', () => {
    expect(decide({ versions: [version('a')], placements: [at('gone', 'a')], workers: [worker('w2')] })).toEqual({
      ...NOTHING,
      place: [at('w2', 'a')],
      withdraw: [at('gone', 'a')],
    });
  });

  it('waits for its worker while there is no other', () => {
    expect(decide({ versions: [version('a')], placements: [at('gone', 'a')] })).toEqual({ ...NOTHING, homeless: ['a'] });
  });

  it('is on as many workers as asked, or as many as there are', () => {
    expect(decide({ versions: [version('a')], workers: [worker('w1'), worker('w2'), worker('w3')], replicas: 2 }).place).toHaveLength(2);
    expect(decide({ versions: [version('a')], workers: [worker('w1')], replicas: 2 })).toEqual({ ...NOTHING, place: [at('w1', 'a')] });
    expect(
      decide({ versions: [version('a')], placements: [at('w1', 'a'), at('gone', 'a')], workers: [worker('w1')], replicas: 2 }),
    ).toEqual(NOTHING);
  });

  it('leaves the fullest workers when fewer are asked', () => {
    const placements = [at('w1', 'a'), at('w2', 'a'), at('w2', 'b')];
    expect(decide({ versions: [version('a'), version('b')], placements, workers: [worker('w1'), worker('w2')] })).toEqual({
      ...NOTHING,
      withdraw: [at('w2', 'a')],
    });
  });

  it('is not put where it does not fit; when it fits nowhere that is said', () => {
    expect(decide({ versions: [version('a', 60), version('b', 60)], workers: [worker('w1'), worker('w2')] }).place).toEqual([
      at('w1', 'a'),
      at('w2', 'b'),
    ]);
    expect(decide({ versions: [version('big', 101)], workers: [worker('w1')] })).toEqual({ ...NOTHING, homeless: ['big'] });
  });

  it('that no alias points to any more is withdrawn everywhere', () => {
    expect(decide({ placements: [at('w1', 'old'), at('gone', 'old')], workers: [worker('w1')] })).toEqual({
      ...NOTHING,
      withdraw: [at('w1', 'old'), at('gone', 'old')],
    });
  });

  it('comes to rest: what was decided needs no further decision', () => {
    const versions = Array.from({ length: 20 }, (_, index) => version(`v${index}`, 1 + ((index * 7) % 13)));
    const workers = [worker('w1'), worker('w2'), worker('w3')];
    const first = decide({
      versions,
      workers,
      replicas: 2,
      placements: [at('gone', 'v1'), at('w1', 'v2'), at('w2', 'v2'), at('w3', 'v2')],
    });
    const placements = [at('gone', 'v1'), at('w1', 'v2'), at('w2', 'v2'), at('w3', 'v2'), ...first.place].filter(
      (one) => !first.withdraw.some((other) => other.workerId === one.workerId && other.versionId === one.versionId),
    );
    expect(decide({ versions, workers, replicas: 2, placements })).toEqual(NOTHING);
  });
});
