import type { Device } from '@weir/contracts';
import { describe, expect, it } from 'vitest';
import { decidePlacements, type DeployedVersion, type LiveWorker, type PlacementQuestion } from './placement.ts';

const GIB = 2 ** 30;
const CPU: Device = { kind: 'cpu' };

const worker = (id: string, options: Partial<LiveWorker> = {}): LiveWorker => ({
  id,
  memoryBytes: 100,
  devices: [CPU],
  backends: ['onnxruntime'],
  holds: new Set(),
  ...options,
});
const version = (versionId: string, options: Partial<DeployedVersion> = {}): DeployedVersion => ({
  versionId,
  tenantId: 'platform',
  isPublic: true,
  memoryBytes: 10,
  backend: 'onnxruntime',
  accelerator: null,
  ...options,
});
const at = (workerId: string, versionId: string) => ({ workerId, versionId });
const decide = (question: Partial<PlacementQuestion>) => {
  const { problems, ...decision } = decidePlacements({
    versions: [],
    placements: [],
    workers: [],
    replicas: 1,
    memoryQuotaOf: () => Infinity,
    ...question,
  });
  return { ...decision, problems: Object.fromEntries(problems) };
};
const NOTHING = { place: [], withdraw: [], problems: {} };

describe('a deployed version', () => {
  it('is placed on the emptiest worker', () => {
    expect(decide({ versions: [version('a'), version('b')], placements: [at('w1', 'a')], workers: [worker('w1'), worker('w2')] })).toEqual({
      ...NOTHING,
      place: [at('w2', 'b')],
    });
  });

  it('is placed where it already is, also when another worker is emptier', () => {
    const workers = [worker('w1', { holds: new Set(['b']) }), worker('w2')];
    expect(decide({ versions: [version('a'), version('b')], placements: [at('w1', 'a')], workers }).place).toEqual([at('w1', 'b')]);
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
    expect(decide({ versions: [version('a')], placements: [at('gone', 'a')] })).toEqual({
      ...NOTHING,
      problems: { a: 'No worker is running.' },
    });
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

  it('is not put where it does not fit; when it fits nowhere its owner is told why', () => {
    const large = { memoryBytes: 60 };
    expect(decide({ versions: [version('a', large), version('b', large)], workers: [worker('w1'), worker('w2')] }).place).toEqual([
      at('w1', 'a'),
      at('w2', 'b'),
    ]);
    expect(decide({ versions: [version('big', { memoryBytes: 101 })], workers: [worker('w1')] })).toEqual({
      ...NOTHING,
      problems: { big: 'It needs 101 bytes of memory, which no running worker that could take it has.' },
    });
    expect(decide({ versions: [version('a', large), version('b', large)], workers: [worker('w1')] }).problems).toEqual({
      b: 'It needs 60 bytes of memory, which are not free on any running worker that could take it.',
    });
  });

  it('that no alias points to any more is withdrawn everywhere', () => {
    expect(decide({ placements: [at('w1', 'old'), at('gone', 'old')], workers: [worker('w1')] })).toEqual({
      ...NOTHING,
      withdraw: [at('w1', 'old'), at('gone', 'old')],
    });
  });

  it('comes to rest: what was decided needs no further decision', () => {
    const versions = Array.from({ length: 20 }, (_, index) =>
      version(`v${index}`, { memoryBytes: 1 + ((index * 7) % 13), accelerator: index % 5 === 0 ? 'cuda' : null }),
    );
    const workers = [worker('w1'), worker('w2', { devices: [{ kind: 'cuda', memoryBytes: 40 }, CPU] }), worker('w3')];
    const before = [at('gone', 'v1'), at('w1', 'v2'), at('w2', 'v2'), at('w3', 'v2'), at('w1', 'v5')];
    const first = decide({ versions, workers, replicas: 2, placements: before });
    const placements = [...before, ...first.place].filter(
      (one) => !first.withdraw.some((other) => other.workerId === one.workerId && other.versionId === one.versionId),
    );
    expect(decide({ versions, workers, replicas: 2, placements })).toEqual({ ...NOTHING, problems: first.problems });
  });
});

describe('a version that asks for an accelerator', () => {
  const H100: Device = { kind: 'cuda', name: 'NVIDIA H100 80GB HBM3', memoryBytes: 80 * GIB };
  const onGpu = (versionId: string, gib: number, accelerator = 'cuda') => version(versionId, { memoryBytes: gib * GIB, accelerator });
  const gpu = (id: string, options: Partial<LiveWorker> = {}) => worker(id, { memoryBytes: 200 * GIB, devices: [H100, CPU], ...options });
  const cpu = (id: string) => worker(id, { memoryBytes: 500 * GIB });

  it('is placed on a worker that offers it, however empty the others are', () => {
    const question = { versions: [version('busy', { memoryBytes: 50 * GIB }), onGpu('llm', 20)], workers: [cpu('w1'), gpu('w2')] };
    expect(decide({ ...question, placements: [at('w2', 'busy')] })).toEqual({ ...NOTHING, place: [at('w2', 'llm')] });
  });

  it('is never placed on a worker that lacks it, and its owner is told why', () => {
    expect(decide({ versions: [onGpu('llm', 1)], workers: [cpu('w1'), cpu('w2')] })).toEqual({
      ...NOTHING,
      problems: { llm: 'It asks for the accelerator cuda, which no running worker offers.' },
    });
  });

  it('is taken from a worker that lost it, for instance because it was started again without', () => {
    expect(decide({ versions: [onGpu('llm', 1)], placements: [at('w1', 'llm')], workers: [cpu('w1')] })).toEqual({
      ...NOTHING,
      withdraw: [at('w1', 'llm')],
      problems: { llm: 'It asks for the accelerator cuda, which no running worker offers.' },
    });
    expect(decide({ versions: [onGpu('llm', 1)], placements: [at('w1', 'llm')], workers: [cpu('w1'), gpu('w2')] })).toEqual({
      ...NOTHING,
      withdraw: [at('w1', 'llm')],
      place: [at('w2', 'llm')],
    });
  });

  it('needs room in the memory of the device, which CUDA and TensorRT share', () => {
    const device = gpu('w1', { devices: [H100, { ...H100, kind: 'tensorrt' }, CPU] });
    const versions = [onGpu('a', 50), onGpu('b', 40, 'tensorrt')];
    expect(decide({ versions, workers: [device] })).toEqual({
      ...NOTHING,
      place: [at('w1', 'a')],
      problems: { b: `It needs ${40 * GIB} bytes of memory, which are not free on any running worker that could take it.` },
    });
    expect(decide({ versions, workers: [device, { ...device, id: 'w2' }] }).place).toEqual([at('w1', 'a'), at('w2', 'b')]);
    expect(decide({ versions: [onGpu('huge', 81)], workers: [device] }).problems).toEqual({
      huge: `It needs ${81 * GIB} bytes of memory, which no running worker that could take it has.`,
    });
  });

  it('needs room in the memory of the worker alone where the device does not say what it has', () => {
    const device = gpu('w1', { devices: [{ kind: 'webgpu' }, CPU], memoryBytes: 10 * GIB });
    expect(decide({ versions: [onGpu('a', 9, 'webgpu')], workers: [device] }).place).toEqual([at('w1', 'a')]);
    expect(decide({ versions: [onGpu('a', 11, 'webgpu')], workers: [device] }).place).toEqual([]);
  });

  it('leaves the memory of the device to others when it leaves', () => {
    const question = { versions: [onGpu('b', 60)], placements: [at('w1', 'a')], workers: [gpu('w1')] };
    expect(decide(question)).toEqual({ ...NOTHING, withdraw: [at('w1', 'a')], place: [at('w1', 'b')] });
  });
});

describe('a version that another server runs', () => {
  const remote = (versionId: string) => version(versionId, { backend: 'openai', memoryBytes: 0 });
  const forwards = { backends: ['onnxruntime', 'open-inference', 'openai'] };

  it('is placed on a worker that takes its back end, and on no other', () => {
    expect(decide({ versions: [remote('gpt')], workers: [worker('w1'), worker('w2', forwards)] }).place).toEqual([at('w2', 'gpt')]);
    expect(decide({ versions: [remote('gpt')], workers: [worker('w1')] }).problems).toEqual({
      gpt: 'No running worker takes versions of the back end openai.',
    });
  });

  it('takes no memory, so that a full worker takes it too; several spread over the workers', () => {
    const full = { versions: [version('a', { memoryBytes: 100 }), remote('gpt')], placements: [at('w1', 'a')] };
    expect(decide({ ...full, workers: [worker('w1', forwards)] }).place).toEqual([at('w1', 'gpt')]);
    const versions = [remote('r1'), remote('r2'), remote('r3'), remote('r4')];
    expect(decide({ versions, workers: [worker('w1', forwards), worker('w2', forwards)] }).place).toEqual([
      at('w1', 'r1'),
      at('w2', 'r2'),
      at('w1', 'r3'),
      at('w2', 'r4'),
    ]);
  });
});

describe('versions of public models', () => {
  const theirs = (versionId: string, memoryBytes: number, tenantId = 'acme') =>
    version(versionId, { tenantId, isPublic: false, memoryBytes });
  const QUOTA = 60;
  const withQuota = (question: Partial<PlacementQuestion>) =>
    decide({ memoryQuotaOf: (id) => (id === 'platform' ? Infinity : QUOTA), ...question });

  it('are placed before those of tenants, however large these are', () => {
    const versions = [theirs('large', 60), version('small', { memoryBytes: 50 })];
    expect(decide({ versions, workers: [worker('w1')] })).toMatchObject({ place: [at('w1', 'small')], withdraw: [] });
  });

  it('are given the room of private versions where they have no other, on the worker where least has to make room', () => {
    const versions = [theirs('a', 90), theirs('b', 40), theirs('c', 50), version('public', { memoryBytes: 45 })];
    const placements = [at('w1', 'a'), at('w2', 'b'), at('w2', 'c')];
    expect(decide({ versions, placements, workers: [worker('w1'), worker('w2')] })).toEqual({
      place: [at('w2', 'public')],
      withdraw: [at('w2', 'c')],
      problems: { c: 'It needs 50 bytes of memory, which are not free on any running worker that could take it.' },
    });
  });

  it('displace nobody where there is room, nor for a further replica, nor where it would not help', () => {
    const placements = [at('w1', 'a')];
    const full = [theirs('a', 90), version('public', { memoryBytes: 45 })];
    expect(decide({ versions: full, placements, workers: [worker('w1'), worker('w2')] }).withdraw).toEqual([]);
    expect(
      decide({ versions: full, placements: [...placements, at('w2', 'public')], workers: [worker('w1'), worker('w2')], replicas: 2 }),
    ).toEqual(NOTHING);
    const huge = [theirs('a', 90), version('public', { memoryBytes: 101 })];
    expect(decide({ versions: huge, placements, workers: [worker('w1')] }).withdraw).toEqual([]);
  });

  it('keep their room: what was decided needs no further decision', () => {
    const versions = [theirs('a', 60), theirs('b', 40, 'globex'), version('public', { memoryBytes: 55 })];
    const first = decide({ versions, placements: [at('w1', 'a'), at('w1', 'b')], workers: [worker('w1')] });
    expect(first).toMatchObject({ place: [at('w1', 'public')], withdraw: [at('w1', 'a')] });
    expect(decide({ versions, placements: [at('w1', 'b'), at('w1', 'public')], workers: [worker('w1')] })).toEqual({
      ...NOTHING,
      problems: first.problems,
    });
  });

  it('are not under the quota of tenants: beyond its quota a version of a tenant is not placed, and its owner is told why', () => {
    const versions = [theirs('a', 40), theirs('b', 30), theirs('c', 30, 'globex'), version('public', { memoryBytes: 90 })];
    expect(withQuota({ versions, workers: [worker('w1'), worker('w2')] })).toEqual({
      ...NOTHING,
      place: [at('w1', 'public'), at('w2', 'a'), at('w2', 'c')],
      problems: { b: 'The tenant may have 60 bytes of memory reserved (quota memoryBytes): 40 are, and it needs 30 more.' },
    });
  });

  it('of tenants on several workers count once for the quota, and what is placed stays when the quota becomes smaller', () => {
    const workers = [worker('w1'), worker('w2')];
    expect(withQuota({ versions: [theirs('a', 60)], workers, replicas: 2 }).place).toHaveLength(2);
    expect(withQuota({ versions: [theirs('a', 70)], placements: [at('w1', 'a')], workers })).toEqual(NOTHING);
  });
});
