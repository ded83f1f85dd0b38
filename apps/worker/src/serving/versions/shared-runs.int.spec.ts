import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PackageFile, Task } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { fromHalfBits, sumOfUsage, type InferenceUsage, type RequestTensor, type Tensor } from '@weir/open-inference';
import { linearNetwork } from '@weir/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunCaller } from '../runtime/run-caller.ts';
import { RunSlots } from '../runtime/run-slots.ts';
import { infer } from '../tasks/infer.ts';
import { aProcessedInput, openPackage, SPEC_LIMITS, type OpenPackage } from '../tasks/task-call.fixture.ts';
import type { TaskAnswer } from '../tasks/task.ts';
import { ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE } from './batch-probe.ts';
import { ServedVersion } from './served-version.ts';

const MODELS = fileURLToPath(new URL('../../../../../models/', import.meta.url));
const TENANTS = ['acme', 'globex', 'initech'];
/** Runs alone: it was in progress when a process crashed. */
const ON_PROBATION = 'initech';
/** The longest text of the text models, and the size of the smaller vocabulary. */
const LONGEST = 60;
const VOCABULARY = 4_000;
const REGRESSION = {
  'model.onnx': linearNetwork({ inputs: 2, outputs: 1, weights: [2, 3] }),
  'weir.json': JSON.stringify({
    tabular: {
      features: [
        { kind: 'number', name: 'age', mean: 40, deviation: 10 },
        { kind: 'number', name: 'height', mean: 0, deviation: 1 },
      ],
    },
  }),
};

type ModelName = 'sentiment' | 'sentence-embedder' | 'digits' | 'regression';

/** A call of one of the models. */
interface Call {
  readonly model: ModelName;
  readonly tenantId: string;
  readonly inputs: readonly RequestTensor[];
}

/** The same model twice: as it is served, with queues and batches, and with every call in a run of its own. */
interface Model {
  readonly served: ServedVersion;
  readonly alone: OpenPackage;
}

let directory: string;
let pictures: readonly string[];
const models = new Map<ModelName, Model>();
const batches: number[] = [];
/** Callers of the runs in progress, and the runs that a caller on probation had to share. */
const inProgress = new Set<readonly RunCaller[]>();
const sharedOnProbation: (readonly RunCaller[])[] = [];

function observed(callers: readonly RunCaller[]): () => void {
  inProgress.add(callers);
  const runs = [...inProgress];
  const all = runs.flat();
  const classes = new Set(all.map(({ tenantId: tenant, shapeClass }) => `${tenant} ${shapeClass}`));
  if (all.some(({ runsAlone }) => runsAlone) && (runs.length > 1 || classes.size > 1)) sharedOnProbation.push(all);
  return () => void inProgress.delete(callers);
}

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'weir-shared-runs-'));
  for (const [name, content] of Object.entries(REGRESSION)) await writeFile(path.join(directory, name), content);
  const names = (await readdir(`${MODELS}digits/examples`)).filter((name) => name.endsWith('.png'));
  pictures = await Promise.all(names.map(async (name) => (await readFile(`${MODELS}digits/examples/${name}`)).toString('base64')));
  const slots = new RunSlots(2);
  const open = async (name: ModelName, folder: string, task: Task): Promise<void> => {
    const served = new ServedVersion({
      placed: {
        versionId: name,
        modelId: name,
        model: name,
        version: '1',
        ownerTenantId: 'platform',
        visibility: 'public',
        task,
        directory: folder,
        files: await filesOf(folder),
      },
      limits: {
        queueLength: 10_000,
        queueWaitMs: 600_000,
        batchMs: 50,
        maxBatchRows: 16,
        runLimitMs: 60_000,
        runBytes: 2 ** 28,
        maxOutputElements: 4_000_000,
      },
      taskLimits: SPEC_LIMITS,
      slots,
      intraOpThreads: 1,
      executionProviders: ['cpu'],
      maxInstances: 1,
      observer: { waited: () => undefined, ran: ({ items, isOk }) => isOk && batches.push(items), rejected: () => undefined },
      record: (callers) => (callers === null ? () => undefined : observed(callers)),
      admit: (tenant) => tenant === ON_PROBATION,
      onWanted: () => undefined,
      onBroken: () => undefined,
    });
    await served.load();
    models.set(name, { served, alone: await openPackage(folder, task) });
  };
  await open('sentiment', `${MODELS}sentiment`, 'text-classification');
  await open('sentence-embedder', `${MODELS}sentence-embedder`, 'feature-extraction');
  await open('digits', `${MODELS}digits`, 'image-classification');
  await open('regression', directory, 'tabular-regression');
});

afterAll(async () => {
  for (const { served, alone } of models.values()) {
    await served.remove();
    await alone.close();
  }
  await rm(directory, { recursive: true, force: true });
});

const tenantId = fc.constantFrom(...TENANTS);
const textModel = fc.constantFrom<ModelName>('sentiment', 'sentence-embedder');
const words = fc.constantFrom('good', 'bad', 'the', 'battery', 'dog', 'never', 'wonderful', 'case', 'of', 'broken', 'kind', '🙂');
/** Of any size, but mostly so near to each other that rows are padded. */
const lengths = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 10, max: 12 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: LONGEST }) },
);
const texts = fc
  .array(
    lengths.chain((length) => fc.array(words, { minLength: length, maxLength: length })),
    { minLength: 1, maxLength: 4 },
  )
  .map((items) => [
    aProcessedInput(
      'text',
      items.map((item) => item.join(' ')),
    ),
  ]);

/** Token tensors of any rows and lengths, some with holes in the mask, some with a mask of zeros alone. */
const tokens = fc
  .record({
    rows: fc.integer({ min: 1, max: 4 }),
    length: lengths,
    seed: fc.integer({ min: 0, max: 1_000 }),
    mask: fc.constantFrom<'ones' | 'holes' | 'zeros'>('ones', 'ones', 'holes', 'zeros'),
  })
  .map(({ rows, length, seed, mask }) => {
    const count = rows * length;
    const ids = Array.from({ length: count }, (_, index) => (seed * 31 + index * index * 17) % VOCABULARY);
    const attention = ids.map((id) => (mask === 'zeros' || (mask === 'holes' && id % 3 === 0) ? 0 : 1));
    return tokenTensors([rows, length], ids, attention);
  });

/** Calls that fail, each in its own way, alone as beside others. */
const invalid: fc.Arbitrary<Call> = fc.oneof(
  fc.record({
    tenantId,
    model: textModel,
    inputs: fc.constantFrom<readonly RequestTensor[]>(
      tokenTensors([1, 3], [1, 999_999, 2], [1, 1, 1]),
      tokenTensors([2, 2], [1, -999_999, 2, 3], [1, 1, 1, 1]),
      [...tokenTensors([1, 3], [1, 2, 3], [1, 1, 1]).slice(0, 2), int64('token_type_ids', [1, 4], [0, 0, 0, 0])],
      [...tokenTensors([1, 2], [1, 2], [1, 1]).slice(0, 2), int64('token_type_ids', [1, 2], [0, 77])],
      tokenTensors(
        [1, 300],
        Array.from({ length: 300 }, () => 5),
        Array.from({ length: 300 }, () => 1),
      ),
    ),
  }),
  fc.record({ tenantId, model: fc.constant<ModelName>('digits'), inputs: fc.constant([aProcessedInput('image', ['bm8gcGljdHVyZQ=='])]) }),
  fc.record({ tenantId, model: fc.constant<ModelName>('regression'), inputs: fc.constant([aProcessedInput('record', ['{"age":"old"}'])]) }),
);

const valid: fc.Arbitrary<Call> = fc.oneof(
  fc.record({ tenantId, model: textModel, inputs: texts }),
  fc.record({ tenantId, model: textModel, inputs: tokens }),
  fc.record({
    tenantId,
    model: fc.constant<ModelName>('digits'),
    inputs: fc.array(fc.nat(), { minLength: 1, maxLength: 3 }).map((picked) => [
      aProcessedInput(
        'image',
        picked.map((at) => pictures[at % pictures.length]),
      ),
    ]),
  }),
  fc.record({
    tenantId,
    model: fc.constant<ModelName>('digits'),
    inputs: fc.integer({ min: 1, max: 40 }).map((rows): RequestTensor[] => {
      const name = models.get('digits')?.alone.version.signatures.get('model')?.inputs[0]?.name ?? '';
      const data = Array.from({ length: rows * 784 }, (_, index) => ((index * rows) % 23) / 23);
      return [{ name, datatype: 'FP32', shape: [rows, 1, 28, 28], data }];
    }),
  }),
  fc.record({
    tenantId,
    model: fc.constant<ModelName>('regression'),
    inputs: fc
      .array(fc.record({ age: fc.integer({ min: 0, max: 99 }), height: fc.integer({ min: 0, max: 200 }) }), { minLength: 1, maxLength: 40 })
      .map((items) => [
        aProcessedInput(
          'record',
          items.map((item) => JSON.stringify(item)),
        ),
      ]),
  }),
);

describe('calls of several tenants at once', () => {
  it(
    'each get what they get alone and are metered once, one on probation shares no run, and errors reach the invalid ones only',
    { timeout: 240_000 },
    async () => {
      batches.length = 0;
      sharedOnProbation.length = 0;
      const mixture = fc.array(fc.oneof({ weight: 5, arbitrary: valid }, { weight: 1, arbitrary: invalid }), {
        minLength: 8,
        maxLength: 48,
      });
      await fc.assert(
        fc.asyncProperty(mixture, async (calls) => {
          const answers = await Promise.all(calls.map((call) => outcomeOf(() => together(call))));
          for (const [index, call] of calls.entries()) {
            const alone = await outcomeOf(() => models.get(call.model)!.alone.infer(call.inputs));
            expectSame(answers[index]!, alone);
          }
        }),
        { numRuns: 40 },
      );
      expect(Math.max(...batches)).toBeGreaterThan(1);
      expect(sharedOnProbation).toEqual([]);
    },
  );
});

/** Answers a call beside others. What had begun to run of it by its end has to be what its answer counts. */
function together({ model, inputs, tenantId: caller }: Call): Promise<TaskAnswer> {
  const { signal } = new AbortController();
  const begun: InferenceUsage[] = [];
  const started = (usage: InferenceUsage): void => void begun.push(usage);
  return models.get(model)!.served.use({ tenantId: caller, priority: 'interactive', signal, started }, async (version, run) => {
    const request = { inputs, outputs: [], parameters: {} };
    const answer = await infer({
      version,
      request,
      limits: SPEC_LIMITS,
      signal,
      run: async (item) => (await run(item)).outputs,
      sequence: null,
    });
    expect(sumOfUsage(begun)).toEqual(answer.usage);
    return answer;
  });
}

type Outcome = TaskAnswer | { readonly code: string };

async function outcomeOf(work: () => Promise<TaskAnswer>): Promise<Outcome> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AppError) return { code: error.code };
    throw error;
  }
}

function expectSame(got: Outcome, alone: Outcome): void {
  if ('code' in alone || 'code' in got) {
    expect(got).toEqual(alone);
    return;
  }
  expect(got.outputs.map(({ name, datatype, shape }) => ({ name, datatype, shape }))).toEqual(
    alone.outputs.map(({ name, datatype, shape }) => ({ name, datatype, shape })),
  );
  for (const [index, output] of alone.outputs.entries()) {
    const other = got.outputs[index]!;
    if (output.datatype === 'BYTES') expect(other.data).toEqual(output.data);
    const [left, right] = [numbersOf(output), numbersOf(other)];
    const worst = left.findIndex((value, at) => {
      const beside = right[at] ?? Number.NaN;
      return !Object.is(value, beside) && !(Math.abs(value - beside) <= ABSOLUTE_TOLERANCE + RELATIVE_TOLERANCE * Math.abs(value));
    });
    if (worst !== -1) expect(right[worst]).toBe(left[worst]);
  }
}

function numbersOf({ datatype, data }: Tensor): number[] {
  if (datatype === 'BYTES') return [];
  return datatype === 'FP16' ? fromHalfBits(data as Uint16Array) : Array.from(data as ArrayLike<number | bigint>, Number);
}

function tokenTensors(shape: readonly number[], ids: readonly number[], mask: readonly number[]): RequestTensor[] {
  const types = ids.map(() => 0);
  return [int64('input_ids', shape, ids), int64('attention_mask', shape, mask), int64('token_type_ids', shape, types)];
}

function int64(name: string, shape: readonly number[], data: readonly number[]): RequestTensor {
  return { name, datatype: 'INT64', shape, data };
}

async function filesOf(folder: string): Promise<PackageFile[]> {
  const entries = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  return Promise.all(
    entries.map(async (entry) => {
      const file = path.join(entry.parentPath, entry.name);
      return { path: path.relative(folder, file), sha256: '0'.repeat(64), sizeBytes: (await stat(file)).size };
    }),
  );
}
