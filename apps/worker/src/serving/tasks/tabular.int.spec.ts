import { fileURLToPath } from 'node:url';
import { linearNetwork, onnxModel } from '@weir/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { closeWrittenPackages, openWritten, type PackageContent } from './package.fixture.ts';
import { aProcessedInput, openPackage, outputOf, type OpenPackage, type SpecCallOptions } from './task-call.fixture.ts';

const GRID = fileURLToPath(new URL('../../../../../models/digits-grid/', import.meta.url));

/** Age (mean 40, deviation 10), and a plan: three numbers, or one. */
const FEATURES = [
  { kind: 'number', name: 'age', mean: 40, deviation: 10, minimum: 0, maximum: 150 },
  { kind: 'category', name: 'plan', values: ['free', 'team'], default: 'free' },
];

/** `y = 2 · age + 3 · isFree + 5 · isTeam`, of the numbers that the features make. */
const regression = (over: PackageContent = {}): PackageContent => ({
  'model.onnx': linearNetwork({ inputs: 3, outputs: 1, weights: [2, 3, 5] }),
  'weir.json': { tabular: { features: FEATURES } },
  ...over,
});

/** As scikit-learn's pipelines are exported: an input for each column, a label and the probabilities of the classes. */
function aPipeline(): Buffer {
  return onnxModel({
    inputs: [
      { name: 'years_of_use', type: 'int64', dims: [null, 1] },
      { name: 'plan', type: 'string', dims: [null, 1] },
    ],
    outputs: [
      { name: 'label', type: 'int64', dims: [null] },
      { name: 'probabilities', dims: [null, 2] },
    ],
    nodes: [
      { operator: 'Cast', inputs: ['years_of_use'], outputs: ['years'], attributes: { to: { int: 1 } } },
      { operator: 'Equal', inputs: ['plan', 'team'], outputs: ['isTeam'] },
      { operator: 'Cast', inputs: ['isTeam'], outputs: ['team_number'], attributes: { to: { int: 1 } } },
      { operator: 'Mul', inputs: ['team_number', 'quarter'], outputs: ['code'] },
      { operator: 'Mul', inputs: ['years', 'tenth'], outputs: ['part'] },
      { operator: 'Add', inputs: ['part', 'code'], outputs: ['stays'] },
      { operator: 'Sub', inputs: ['one', 'stays'], outputs: ['goes'] },
      { operator: 'Concat', inputs: ['goes', 'stays'], outputs: ['probabilities'], attributes: { axis: { int: 1 } } },
      { operator: 'ArgMax', inputs: ['probabilities'], outputs: ['label'], attributes: { axis: { int: 1 }, keepdims: { int: 0 } } },
    ],
    initialisers: [
      { name: 'tenth', dims: [], data: [0.1] },
      { name: 'one', dims: [], data: [1] },
      { name: 'quarter', dims: [], data: [0.25] },
      { name: 'team', type: 'string', dims: [], data: ['team'] },
    ],
    // The first that compares texts.
    opsets: { '': 19 },
    irVersion: 9,
  });
}

afterEach(closeWrittenPackages);

const records = (...items: readonly unknown[]) => [
  aProcessedInput(
    'record',
    items.map((item) => (typeof item === 'string' ? item : JSON.stringify(item))),
  ),
];

async function values(model: OpenPackage, ...items: readonly unknown[]): Promise<number[]> {
  return Array.from(outputOf(await model.infer(records(...items)), 'value').data, Number);
}

describe('a record', () => {
  it('becomes the numbers that weir.json says, and the answer has the unit of the target', async () => {
    const tabular = { features: FEATURES, target: { name: 'price', mean: 100, deviation: 10 } };
    const model = await openWritten('tabular-regression', regression({ 'weir.json': { tabular } }));
    expect(await values(model, { age: 50, plan: 'team' }, { age: 40, plan: 'free' }, { age: 30 })).toEqual([170, 130, 110]);
    expect(model.runs).toHaveLength(1);
    const answer = await model.infer(records({ age: 50 }));
    expect(outputOf(answer, 'value')).toMatchObject({ datatype: 'FP64', shape: [1] });
    expect(answer.usage).toEqual({ inputs: 1, 'input-tokens': 0 });
  });

  it('may be given as bytes, and its categories by numbers and truth values', async () => {
    const features = [{ kind: 'category', name: 'rooms', values: ['2', 'true', '3'], encoding: 'index' }];
    const model = await openWritten('tabular-regression', {
      'model.onnx': linearNetwork({ inputs: 1, outputs: 1, weights: [10] }),
      'weir.json': { tabular: { features } },
    });
    expect(await values(model, { rooms: 3 }, { rooms: '2' }, { rooms: true })).toEqual([20, 0, 10]);
  });

  it.each<[string, unknown, string]>([
    ['that is no JSON', '{"age": NaN}', 'record 1: expected a JSON object of features, got what is not JSON'],
    ['that is a list', '[1]', 'record 1: expected a JSON object of features, got an array'],
    ['without a feature', { plan: 'free' }, 'record 1: missing feature "age", a number from 0 to 150'],
    ['with a feature that is null', { age: null }, 'record 1: missing feature "age", a number from 0 to 150'],
    ['with a number in text', { age: '50' }, 'record 1: feature "age": expected a number from 0 to 150, got "50"'],
    ['with a number that is too large', { age: 151 }, 'record 1: feature "age": expected a number from 0 to 150, got 151'],
    ['with a list for a number', { age: [1] }, 'record 1: feature "age": expected a number from 0 to 150, got an array'],
    ['with an unknown category', { age: 1, plan: 'gold' }, 'record 1: feature "plan": expected one of "free", "team", got "gold"'],
    ['with an unknown feature', { age: 1, agee: 2 }, 'record 1: unknown feature "agee"; the model takes "age", "plan"'],
    [
      'with a feature that all objects have',
      '{"age": 1, "__proto__": 2}',
      'record 1: unknown feature "__proto__"; the model takes "age", "plan"',
    ],
  ])('%s is refused, naming the record, the feature, what is expected and what came', async (_, record, message) => {
    const model = await openWritten('tabular-regression', regression());
    await expect(model.infer(records({ age: 1 }, record))).rejects.toMatchObject({
      code: 'model.input_invalid',
      field: 'inputs[0].data[1]',
      message,
    });
    expect(model.runs).toHaveLength(0);
  });

  it('without a feature has its default, whatever the name is', async () => {
    const features = [{ kind: 'number', name: 'constructor', default: 7 }];
    const model = await openWritten('tabular-regression', {
      'model.onnx': linearNetwork({ inputs: 1, outputs: 1 }),
      'weir.json': { tabular: { features } },
    });
    expect(await values(model, {}, { constructor: 8 })).toEqual([7, 8]);
  });

  it.each([1e39, -1e39])('with %d, which the model cannot hold, is refused before the model runs', async (size) => {
    const features = [{ kind: 'number', name: 'size' }];
    const model = await openWritten('tabular-regression', {
      'model.onnx': linearNetwork({ inputs: 1, outputs: 1 }),
      'weir.json': { tabular: { features } },
    });
    await expect(model.infer(records({ size }))).rejects.toMatchObject({
      code: 'model.input_invalid',
      message: expect.stringContaining('FP32'),
    });
  });

  it('runs alone where the model has no batch axis', async () => {
    const network = onnxModel({
      inputs: [{ name: 'x', dims: [1, 1] }],
      outputs: [{ name: 'y', dims: [1, 1] }],
      nodes: [{ operator: 'Identity', inputs: ['x'], outputs: ['y'] }],
    });
    const model = await openWritten('tabular-regression', {
      'model.onnx': network,
      'weir.json': { tabular: { features: [{ kind: 'number', name: 'x' }] } },
    });
    expect(await values(model, { x: 1 }, { x: 2 }, { x: 3 })).toEqual([1, 2, 3]);
    expect(model.runs.map(({ feeds }) => feeds[0]?.dims[0])).toEqual([1, 1, 1]);
  });

  it('is not estimated as something that is no number', async () => {
    const model = await openWritten(
      'tabular-regression',
      regression({ 'model.onnx': linearNetwork({ inputs: 3, outputs: 1, weights: [Number.NaN, 0, 0] }) }),
    );
    await expect(model.infer(records({ age: 1 }))).rejects.toMatchObject({ code: 'model.failed' });
  });
});

describe('a classifier of records', () => {
  it('that gives logits names the digit in a grid, as the starter model does', async () => {
    const model = await openPackage(GRID, 'tabular-classification');
    try {
      for (const { input, expected } of model.version.modelPackage.weir.examples ?? []) {
        const answer = await model.infer(records(input.record), { parameters: { top_k: 1 } });
        expect(outputOf(answer, 'label').data).toEqual([expected?.label]);
      }
      expect(model.runs.length).toBeGreaterThan(2);
    } finally {
      await model.close();
    }
  });

  it('of scikit-learn takes each column under its name and type, and its probabilities are the scores', async () => {
    const features = [
      { kind: 'number', name: 'years of use' },
      { kind: 'category', name: 'plan', values: ['free', 'team'] },
    ];
    const model = await openWritten('tabular-classification', {
      'model.onnx': aPipeline(),
      'weir.json': { tabular: { features } },
      'config.json': { id2label: { 0: 'goes', 1: 'stays' } },
    });
    const answer = await model.infer(records({ 'years of use': 1, plan: 'free' }, { 'years of use': 6, plan: 'team' }));
    expect(outputOf(answer, 'label')).toMatchObject({ shape: [2, 2], data: ['goes', 'stays', 'stays', 'goes'] });
    expect(Array.from(outputOf(answer, 'score').data, Number)).toEqual([0.9, 0.1, 0.85, 0.15].map((score) => expect.closeTo(score, 6)));
    await expect(model.infer(records({ 'years of use': 1.5, plan: 'free' }))).rejects.toMatchObject({
      code: 'model.input_invalid',
      field: 'inputs[0].data[0]',
      message: 'record 0: feature "years of use": expected a number that is one in INT64, got 1.5',
    });
    await expect(model.infer(records({ 'years of use': 20, plan: 'free' }))).rejects.toMatchObject({ code: 'model.failed' });
  });

  it('with one logit for two classes says how likely the second one is', async () => {
    const model = await openWritten('tabular-classification', regression({ 'config.json': { id2label: { 0: 'no', 1: 'yes' } } }));
    const answer = await model.infer(records({ age: 40, plan: 'free' }));
    expect(outputOf(answer, 'label').data).toEqual(['yes', 'no']);
    expect(outputOf(answer, 'score').data[0]).toBeCloseTo(1 / (1 + Math.exp(-3)), 6);
  });

  it.each<[string, SpecCallOptions, object]>([
    ['records', { limits: { maxItems: 1 } }, { code: 'request.too_large', field: 'inputs[0].shape' }],
    ['characters', { limits: { maxTextCharacters: 9 } }, { code: 'model.input_invalid', field: 'inputs[0].data[0]' }],
  ])('does not take more %s than are allowed', async (_, options, error) => {
    const model = await openWritten('tabular-classification', regression());
    await expect(model.infer(records({ age: 40 }, { age: 41 }), options)).rejects.toMatchObject(error);
  });
});

describe('a package for records', () => {
  const features = (names: readonly string[]) => ({
    'weir.json': { tabular: { features: names.map((name) => ({ kind: 'number', name })) } },
  });

  it.each<[string, PackageContent, string]>([
    ['names no features', { 'model.onnx': linearNetwork({ inputs: 2, outputs: 1 }) }, 'must name the features'],
    [
      'names another number of features',
      { ...features(['a', 'b', 'c']), 'model.onnx': linearNetwork({ inputs: 2, outputs: 1 }) },
      'the features fill a column of [records, 3] numbers, the model takes "x" FP32 [batch, 2]',
    ],
    [
      'lacks a column of the model',
      { ...features(['years_of_use']), 'model.onnx': aPipeline() },
      'no feature of weir.json has the name of the input "plan" BYTES [any, 1]',
    ],
    [
      'names a feature that the model does not take',
      { ...features(['years_of_use', 'plan', 'age']), 'model.onnx': aPipeline() },
      'the model has no input for the feature "age"',
    ],
  ])('that %s is refused with what does not fit', async (_, content, message) => {
    await expect(openWritten('tabular-classification', content)).rejects.toMatchObject({
      code: 'model.package_invalid',
      message: expect.stringContaining(message),
    });
  });
});
