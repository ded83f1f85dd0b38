import type { PlacementState } from '@weir/contracts';
import { AppError, type Clock, type ErrorCode } from '@weir/kernel';
import { createLogger } from '@weir/platform/telemetry';
import { describe, expect, it, vi } from 'vitest';
import { PlacementReconciler } from './placement-reconciler.ts';
import type { ServedState } from '../serving-processes/serving-fleet.ts';
import type { HeldVersion } from './version-loader.ts';

const READY: ServedState = { state: 'ready', url: 'http://127.0.0.1:4711' };
const logger = createLogger({ service: 'worker', instanceId: 'spec', level: 'silent' });

function placement(versionId: string, over: Partial<PlacementState> = {}): PlacementState {
  return {
    workerId: 'w',
    versionId,
    modelId: `model-${versionId}`,
    model: 'm',
    version: '1',
    ownerTenantId: 'platform',
    task: 'tensors',
    files: filesOf(versionId),
    artifactsUrl: 'http://127.0.0.1:1',
    ...over,
  };
}

/** Different versions have different files. */
const filesOf = (versionId: string) => [
  { path: 'model.onnx', sha256: Buffer.from(versionId).toString('hex').padStart(64, '0'), sizeBytes: 1 },
];

const wish = (...placements: PlacementState[]) => new Map(placements.map((one) => [one.versionId, one]));

/** A reconciler whose loads are noted instead of made. */
function aReconciler(
  failures: Record<string, ErrorCode> = {},
  beforeLoad: (versionId: string) => Promise<void> = () => Promise.resolve(),
  clock: Clock = { now: () => 0 },
) {
  const did: string[] = [];
  const loader = {
    load: async ({ versionId }: PlacementState): Promise<HeldVersion> => {
      await beforeLoad(versionId);
      did.push(`load ${versionId}`);
      const failure = failures[versionId];
      if (failure !== undefined) throw new AppError(failure);
      return { versionId, held: { directory: '', sizeBytes: 0, release: () => {} } };
    },
    update: ({ versionId, visibility }: PlacementState) => void did.push(`update ${versionId} ${visibility}`),
    unload: async ({ versionId }: HeldVersion): Promise<void> => void did.push(`unload ${versionId}`),
  };
  /** Where the process of every loaded version stands. */
  const served = { state: READY as ServedState };
  const stateOf = (): ServedState => served.state;
  return {
    did,
    failures,
    served,
    reconciler: new PlacementReconciler({ loader, stateOf, revive: () => Promise.resolve(), clock, logger }),
  };
}

describe('what is placed on a worker', () => {
  it('is loaded once, and unloaded when it is withdrawn', async () => {
    const { did, served, reconciler } = aReconciler();
    reconciler.want(wish(placement('a')));
    await reconciler.settled();
    reconciler.want(wish(placement('a'), placement('b')));
    await reconciler.settled();
    reconciler.want(wish(placement('b')));
    await reconciler.settled();
    expect(did).toEqual(['load a', 'load b', 'unload a']);
    expect(reconciler.states()).toEqual([{ versionId: 'b', ...READY }]);
    served.state = { state: 'loading' };
    expect(reconciler.states()).toEqual([{ versionId: 'b', state: 'loading' }]);
    await reconciler.close();
  });

  it('is taken over as it is last wished, also while a load is under way', async () => {
    const { did, reconciler } = aReconciler();
    reconciler.want(wish(placement('a'), placement('b')));
    reconciler.want(wish(placement('c')));
    await reconciler.settled();
    expect(did.at(-1)).toBe('load c');
    expect(did).not.toContain('load b');
    expect(reconciler.states().map((state) => state.versionId)).toEqual(['c']);
    await reconciler.close();
  });

  it('is not fetched any more when the wish has changed while another one was fetched', async () => {
    let finish = (): void => {};
    let begun = (): void => {};
    const beginning = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const held = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const { did, reconciler } = aReconciler({}, () => {
      begun();
      return held;
    });
    reconciler.want(wish(placement('a'), placement('b')));
    await beginning;
    reconciler.want(wish(placement('c')));
    finish();
    await reconciler.settled();
    expect(did).toEqual(['load a', 'unload a', 'load c']);
    await reconciler.close();
  });

  it('waits for no load of another tenant, four at once', async () => {
    const begun: string[] = [];
    const { promise: hanging, resolve: finish } = Promise.withResolvers<void>();
    const { did, reconciler } = aReconciler({}, (versionId) => {
      begun.push(versionId);
      return versionId.startsWith('slow') ? hanging : Promise.resolve();
    });
    const owned = (versionId: string, ownerTenantId: string) => placement(versionId, { ownerTenantId });
    const slow = ['a', 'b', 'c'].map((tenant) => owned(`slow-${tenant}`, tenant));
    reconciler.want(wish(...slow, owned('behind-a', 'a'), owned('one', 'd'), owned('two', 'd'), owned('three', 'e')));
    await vi.waitFor(() => expect(did).toEqual(['load one', 'load two', 'load three']));
    expect(begun).not.toContain('behind-a');
    reconciler.want(wish(owned('slow-d', 'd'), owned('late', 'e')));
    await vi.waitFor(() => expect(begun).toContain('slow-d'));
    expect(begun).not.toContain('late');
    finish();
    await reconciler.settled();
    expect(reconciler.states().map(({ versionId }) => versionId)).toEqual(['slow-d', 'late']);
    await reconciler.close();
  });

  it('waits for a load of an equal package, whose folder it shares', async () => {
    const files = [{ path: 'model.onnx', sha256: 'a'.repeat(64), sizeBytes: 1 }];
    const { promise: loading, resolve: finish } = Promise.withResolvers<void>();
    const begun: string[] = [];
    const { did, reconciler } = aReconciler({}, (versionId) => {
      begun.push(versionId);
      return loading;
    });
    reconciler.want(wish(placement('a', { ownerTenantId: 'a', files }), placement('b', { ownerTenantId: 'b', files })));
    await vi.waitFor(() => expect(begun).toEqual(['a']));
    finish();
    await reconciler.settled();
    expect(did).toEqual(['load a', 'load b']);
    await reconciler.close();
  });

  it('stays loaded when only the address of its files has changed', async () => {
    const { did, reconciler } = aReconciler();
    reconciler.want(wish(placement('a')));
    await reconciler.settled();
    reconciler.want(wish(placement('a', { artifactsUrl: 'http://127.0.0.1:2' })));
    await reconciler.settled();
    expect(did).toEqual(['load a']);
    await reconciler.close();
  });

  it('stays loaded when the visibility of its model changes, which is passed on', async () => {
    const { did, reconciler } = aReconciler();
    for (const visibility of ['public', 'public', 'private'] as const) {
      reconciler.want(wish(placement('a', { visibility })));
      await reconciler.settled();
    }
    expect(did).toEqual(['load a', 'update a private']);
    await reconciler.close();
  });

  it('and is at fault is tried once and told as failed; the others are loaded', async () => {
    const { did, reconciler } = aReconciler({ bad: 'artifact.digest_mismatch' });
    reconciler.want(wish(placement('bad'), placement('good')));
    await reconciler.settled();
    reconciler.want(wish(placement('bad'), placement('good')));
    await reconciler.settled();
    expect(did).toEqual(['load bad', 'load good']);
    expect(reconciler.states()).toEqual([
      { versionId: 'bad', state: 'failed', error: 'The content does not have the digest that was announced.' },
      { versionId: 'good', ...READY },
    ]);
    await reconciler.close();
  });

  it('and fails repeatedly for a transient reason is retried with growing delays until it loads', async () => {
    vi.useFakeTimers({ now: 0 });
    try {
      const { did, failures, reconciler } = aReconciler({ flaky: 'service.unavailable' }, undefined, { now: () => Date.now() });
      reconciler.want(wish(placement('flaky')));
      const attemptsAfter = async (ms: number): Promise<number> => {
        await vi.advanceTimersByTimeAsync(ms);
        return did.length;
      };
      expect(await attemptsAfter(0)).toBe(1);
      expect([await attemptsAfter(499), await attemptsAfter(1)]).toEqual([1, 2]);
      expect([await attemptsAfter(999), await attemptsAfter(1)]).toEqual([2, 3]);
      expect([await attemptsAfter(1_999), await attemptsAfter(1)]).toEqual([3, 4]);
      delete failures['flaky'];
      expect([await attemptsAfter(3_999), await attemptsAfter(1)]).toEqual([4, 5]);
      expect(reconciler.states()).toEqual([{ versionId: 'flaky', ...READY }]);
      await reconciler.close();
    } finally {
      vi.useRealTimers();
    }
  });

  it('and cannot be fetched now stays in loading with the reason', async () => {
    const { reconciler } = aReconciler({ later: 'service.unavailable' });
    reconciler.want(wish(placement('later')));
    await reconciler.settled();
    expect(reconciler.states()).toEqual([{ versionId: 'later', state: 'loading', error: 'A service that this needs does not answer.' }]);
    await reconciler.close();
  });
});
