import { describe, expect, it } from 'vitest';
import { StartupLoads, type StartupVersion } from './startup-loads.ts';

const aVersion = (model: string): StartupVersion => ({ versionId: model, model, version: '1' });

function aStart(...models: string[]) {
  const loading = new Set(models);
  let nowMs = 0;
  const loads = new StartupLoads({ reconciler: { isLoading: (versionId) => loading.has(versionId) }, now: () => nowMs });
  return { loading, loads, begin: () => loads.begin(models.map(aVersion)), pass: (ms: number) => void (nowMs += ms) };
}

describe('a worker', () => {
  it('is not ready before it knows its placements, and ready at once without any', () => {
    const { loads, begin } = aStart();
    expect(loads.check()).toEqual({ state: 'failed', detail: 'The placements are not read yet.' });
    begin();
    expect(loads.check().state).toBe('ok');
  });

  it('is ready when the versions of its start are loaded or have failed, and names those that are loading', () => {
    const { loading, loads, begin } = aStart('a', 'b', 'c', 'd', 'e', 'f', 'g');
    begin();
    expect(loads.check().detail).toBe('7 of 7 versions of the start are loading: a 1, b 1, c 1, d 1, e 1 and 2 more.');
    for (const model of ['a', 'b', 'c', 'd', 'e', 'f']) loading.delete(model);
    expect(loads.check()).toEqual({ state: 'failed', detail: '1 of 7 versions of the start are loading: g 1.' });
    loading.delete('g');
    expect(loads.check()).toEqual({ state: 'ok', detail: '7 of 7 versions of the start are loaded or have failed.' });
  });

  it('is ready after a minute whatever hangs, and waits for nothing that is placed later', () => {
    const { loading, loads, begin, pass } = aStart('hanging');
    begin();
    pass(59_999);
    expect(loads.check().state).toBe('failed');
    pass(1);
    expect(loads.check().state).toBe('degraded');
    loading.clear();
    loading.add('later');
    loads.begin([aVersion('later')]);
    expect(loads.check().state).toBe('ok');
  });
});
