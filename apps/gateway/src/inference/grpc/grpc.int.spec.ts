import { credentials, makeGenericClientConstructor, Metadata, status, type CallOptions, type ServiceError } from '@grpc/grpc-js';
import { AppError, ERROR_KINDS } from '@weir/kernel';
import { DATATYPES } from '@weir/open-inference';
import { eventually } from '@weir/testing';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { BODY_LIMIT_BYTES, OpenInferenceWorld } from '../open-inference-world.fixture.ts';
import { grpcStatusOf } from './grpc-status.ts';
import { inferenceServiceDefinition } from './service-definition.ts';

const Client = makeGenericClientConstructor(inferenceServiceDefinition(), 'GRPCInferenceService');

let world: OpenInferenceWorld;
let key: string;
let operatorToken: string;
let client: InstanceType<typeof Client>;

beforeAll(async () => {
  world = await OpenInferenceWorld.start();
  key = await world.aKey('acme');
  operatorToken = await world.anOperator();
  client = new Client(world.grpcAddress, credentials.createInsecure());
});
afterAll(async () => {
  client.close();
  await world.close();
});
afterEach(() => {
  world.worker.answers = () => undefined;
});

interface CallParameters {
  readonly as?: string | null;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly options?: CallOptions;
}

/** Calls a method; the answer, and what stands in the trailers. */
async function call<T = Record<string, unknown>>(
  method: string,
  message: object = {},
  { as = key, metadata: more = {}, options = {} }: CallParameters = {},
): Promise<{ answer: T; trailers: Metadata }> {
  const metadata = new Metadata();
  if (as !== null) metadata.set('authorization', `Bearer ${as}`);
  for (const [name, value] of Object.entries(more)) metadata.set(name, value);
  const { path, requestSerialize, responseDeserialize } = inferenceServiceDefinition()[method] ?? {};
  if (path === undefined || requestSerialize === undefined || responseDeserialize === undefined) throw new Error(`no method ${method}`);
  return new Promise((resolve, reject) => {
    let answer: T;
    const under = client.makeUnaryRequest(path, requestSerialize, responseDeserialize, message, metadata, options, (error, value) => {
      if (error === null) answer = value as T;
      else reject(error);
    });
    under.on('status', ({ code, metadata: trailers }) => {
      if (code === status.OK) resolve({ answer, trailers });
    });
  });
}

/** The status of a call that is refused, the code of the table beside it, and the field. */
async function refusalOf(method: string, message: object, parameters: CallParameters = {}): Promise<unknown> {
  try {
    await call(method, message, parameters);
  } catch (error) {
    const { code, metadata, details } = error as ServiceError;
    expect(details).not.toBe('');
    return { status: status[code], code: metadata.get('x-weir-error-code')[0] };
  }
  throw new Error('the call was not refused');
}

const ROW = Buffer.from(Float32Array.of(0.5, Number.NaN).buffer);

function aCall(over: object = {}): object {
  return {
    model_name: 'digits',
    id: 'call-7',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2] }],
    raw_input_contents: [ROW],
    ...over,
  };
}

describe('an inference over gRPC', () => {
  test('gives the outputs as bytes, with the id and the public name of the model', async () => {
    const { answer, trailers } = await call('ModelInfer', aCall());
    expect(answer).toMatchObject({
      model_name: 'digits',
      model_version: '1',
      id: 'call-7',
      outputs: [{ name: 'x', datatype: 'FP32', shape: ['1', '2'] }],
      raw_output_contents: [ROW],
    });
    expect(trailers.get('x-weir-receipt-id')).toHaveLength(1);
    expect(trailers.get('x-weir-cost')).toEqual(['0.0005 EUR']);
  });

  test('may hold its elements in the fields of their datatypes', async () => {
    const inputs = [
      { name: 'a', datatype: 'INT64', shape: [1], contents: { int64_contents: ['-9223372036854775808'] } },
      { name: 'b', datatype: 'BYTES', shape: [1], contents: { bytes_contents: [Buffer.from('ja')] } },
    ];
    const { answer } = await call<{ raw_output_contents: Buffer[] }>('ModelInfer', aCall({ inputs, raw_input_contents: [] }));
    expect(answer.raw_output_contents.map((bytes) => bytes.toString('hex'))).toEqual(['0000000000000080', '020000006a61']);
  });

  test('passes its parameters, its priority and its deadline on', async () => {
    await call('ModelInfer', aCall({ parameters: { top_k: { int64_param: 3 }, sequence_id: { string_param: 's-1' } } }), {
      metadata: { 'x-weir-priority': 'batch' },
      options: { deadline: Date.now() + 5_000 },
    });
    const { headers, body } = world.worker.last;
    const json: unknown = JSON.parse(body.subarray(0, Number(headers['inference-header-content-length'])).toString());
    expect(json).toMatchObject({ parameters: { top_k: 3, sequence_id: 's-1', binary_data_output: true } });
    expect(headers['x-weir-priority']).toBe('batch');
    expect(Number(headers['x-weir-timeout-ms'])).toBeLessThanOrEqual(5_000);
  });

  test('with an idempotency key is run and billed once; another call is a conflict', async () => {
    const metadata = { 'idempotency-key': 'order-7' };
    const first = await call('ModelInfer', aCall(), { metadata });
    const asked = world.worker.calls.length;
    const again = await call('ModelInfer', aCall(), { metadata });
    expect(world.worker.calls).toHaveLength(asked);
    expect(again.answer).toEqual(first.answer);
    expect(again.trailers.get('x-weir-receipt-id')).toEqual(first.trailers.get('x-weir-receipt-id'));
    expect([first.trailers.get('x-weir-repeated'), again.trailers.get('x-weir-repeated')]).toEqual([[], ['true']]);
    await expect(call('ModelInfer', aCall({ id: 'another' }), { metadata })).rejects.toMatchObject({ code: status.ALREADY_EXISTS });
  });

  test('whose deadline passes, and one that is cancelled, reaches the worker as hung up', async () => {
    world.worker.answers = () => new Promise(() => undefined);
    const asked = world.worker.calls.length;
    await expect(call('ModelInfer', aCall(), { options: { deadline: Date.now() + 200 } })).rejects.toMatchObject({
      code: status.DEADLINE_EXCEEDED,
    });
    await world.worker.last.hungUp;
    const { path, requestSerialize, responseDeserialize } = inferenceServiceDefinition()['ModelInfer'] ?? {};
    if (path === undefined || requestSerialize === undefined || responseDeserialize === undefined) throw new Error('no method');
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${key}`);
    const cancelled = new Promise<ServiceError | null>((resolve) => {
      const under = client.makeUnaryRequest(path, requestSerialize, responseDeserialize, aCall(), metadata, (error) => resolve(error));
      void eventually(() => world.worker.calls.length > asked + 1).then(() => under.cancel());
    });
    expect(await cancelled).toMatchObject({ code: status.CANCELLED });
    await world.worker.last.hungUp;
  });

  test('is refused with a status for what is wrong, and its code in the trailers', async () => {
    expect(await refusalOf('ModelInfer', aCall(), { as: null })).toEqual({ status: 'UNAUTHENTICATED', code: 'auth.required' });
    expect(await refusalOf('ModelInfer', aCall(), { as: 'nobody' })).toEqual({ status: 'UNAUTHENTICATED', code: 'auth.invalid' });
    expect(await refusalOf('ModelInfer', aCall({ model_name: 'nothing' }))).toEqual({ status: 'NOT_FOUND', code: 'model.not_found' });
    expect(await refusalOf('ModelInfer', aCall({ model_version: '9' }))).toEqual({ status: 'NOT_FOUND', code: 'model.not_found' });
    expect(await refusalOf('ModelInfer', aCall({ raw_input_contents: [ROW, ROW] }))).toEqual({
      status: 'INVALID_ARGUMENT',
      code: 'model.input_invalid',
    });
    expect(await refusalOf('ModelInfer', aCall({ raw_input_contents: [ROW.subarray(1)] }))).toEqual({
      status: 'INVALID_ARGUMENT',
      code: 'model.input_invalid',
    });
    expect(await refusalOf('ModelInfer', aCall(), { metadata: { 'x-weir-priority': 'urgent' } })).toEqual({
      status: 'INVALID_ARGUMENT',
      code: 'request.invalid',
    });
  });

  test("is refused with RESOURCE_EXHAUSTED when the key's limit or the worker's queue is full, and says when to come again", async () => {
    const limited = await world.aKey('acme', ['infer'], 1);
    await call('ModelInfer', aCall(), { as: limited });
    const refused = await call('ModelInfer', aCall(), { as: limited }).catch((error: unknown) => error as ServiceError);
    expect(refused).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    expect((refused as ServiceError).metadata.get('retry-after')).toHaveLength(1);
    world.worker.answers = () => {
      throw new AppError('worker.overloaded');
    };
    expect(await refusalOf('ModelInfer', aCall())).toEqual({ status: 'RESOURCE_EXHAUSTED', code: 'worker.overloaded' });
  });

  test('that the model fails is INTERNAL, and one that no worker takes UNAVAILABLE', async () => {
    world.worker.answers = () => {
      throw new AppError('model.failed', { message: 'half a character: \ud83d' });
    };
    expect(await refusalOf('ModelInfer', aCall())).toEqual({ status: 'INTERNAL', code: 'model.failed' });
    await world.deploy({ modelId: 'model-9', model: 'nowhere', versionId: 'version-9' });
    await eventually(async () => {
      expect(await refusalOf('ModelInfer', aCall({ model_name: 'nowhere' }))).toEqual({ status: 'UNAVAILABLE', code: 'model.not_ready' });
      return true;
    });
  });

  test('larger than a request may be is refused, packed small or not', async () => {
    const large = aCall({ raw_input_contents: [Buffer.alloc(BODY_LIMIT_BYTES)] });
    await expect(call('ModelInfer', large)).rejects.toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    const packing = new Client(world.grpcAddress, credentials.createInsecure(), { 'grpc.default_compression_algorithm': 2 });
    const plain = client;
    client = packing;
    await expect(call('ModelInfer', large)).rejects.toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    expect((await call('ModelInfer', aCall())).answer).toMatchObject({ id: 'call-7' });
    client = plain;
    packing.close();
  });
});

test("whatever stands in the fields of a call is answered or refused as the caller's", async () => {
  const parameters = fc.dictionary(
    fc.string(),
    fc.oneof(
      fc.record({ int64_param: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String) }),
      fc.record({ string_param: fc.string({ unit: 'binary' }) }),
      fc.record({ bool_param: fc.boolean() }),
      fc.constant({}),
    ),
    { maxKeys: 2 },
  );
  const contents = fc.record(
    {
      fp32_contents: fc.array(fc.float(), { maxLength: 3 }),
      int_contents: fc.array(fc.integer(), { maxLength: 3 }),
      bytes_contents: fc.array(
        fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
        { maxLength: 2 },
      ),
      bool_contents: fc.array(fc.boolean(), { maxLength: 2 }),
    },
    { requiredKeys: [] },
  );
  const input = fc.record(
    {
      name: fc.oneof(fc.string(), fc.constant('__proto__')),
      datatype: fc.oneof(fc.constantFrom(...DATATYPES), fc.string()),
      shape: fc.array(fc.oneof(fc.integer({ min: -1, max: 3 }).map(String), fc.constant('9223372036854775807')), { maxLength: 3 }),
      parameters,
      contents,
    },
    { requiredKeys: ['datatype'] },
  );
  const raw = fc.array(
    fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
    { maxLength: 2 },
  );
  const messages = fc.record(
    { inputs: fc.array(input, { maxLength: 2 }), raw_input_contents: raw, parameters, id: fc.string() },
    { requiredKeys: ['inputs'] },
  );
  await fc.assert(
    fc.asyncProperty(messages, async (message) => {
      const refusal = await call('ModelInfer', { model_name: 'digits', ...message }).catch((thrown: unknown) => thrown as ServiceError);
      const code = 'code' in refusal ? refusal.code : status.OK;
      expect([status.OK, status.INVALID_ARGUMENT]).toContain(code);
    }),
    { numRuns: 150 },
  );
});

describe('the other methods', () => {
  test('tell without a key that the server lives and is ready, and what it offers', async () => {
    expect((await call('ServerLive', {}, { as: null })).answer).toEqual({ live: true });
    expect((await call('ServerReady', {}, { as: null })).answer).toEqual({ ready: true });
    expect((await call('ServerMetadata', {}, { as: null })).answer).toMatchObject({
      name: 'weir',
      extensions: expect.arrayContaining(['binary_tensor_data', 'model_repository', 'statistics', 'sequence']),
    });
  });

  test('tell whether a model is ready, and its signature', async () => {
    expect((await call('ModelReady', { name: 'digits' })).answer).toEqual({ ready: true });
    expect(await refusalOf('ModelReady', { name: 'nothing' })).toMatchObject({ status: 'NOT_FOUND' });
    expect(await refusalOf('ModelReady', { name: 'digits' }, { as: null })).toMatchObject({ status: 'UNAUTHENTICATED' });
    const tensor = { name: 'x', datatype: 'FP32', shape: [-1, 2] };
    world.worker.answers = () => ({ platform: 'onnxruntime_onnx', inputs: [tensor], outputs: [tensor], parameters: { task: 'tensors' } });
    expect((await call('ModelMetadata', { name: 'digits', version: '1' })).answer).toEqual({
      name: 'digits',
      versions: ['1'],
      platform: 'onnxruntime_onnx',
      inputs: [{ ...tensor, shape: ['-1', '2'] }],
      outputs: [{ ...tensor, shape: ['-1', '2'] }],
    });
  });

  test('list the models that the tenant may use', async () => {
    const { answer } = await call<{ models: unknown[] }>('RepositoryIndex', { ready: true });
    expect(answer.models).toEqual([{ name: 'digits', version: '1', state: 'READY', reason: '' }]);
  });

  test('load, unload and count for operators alone', async () => {
    world.worker.answers = ({ path }) =>
      path.endsWith('/stats') ? { model_stats: [{ inference_count: 3, inference_stats: { success: { count: 3, ns: 9 } } }] } : {};
    for (const [method, what] of [
      ['RepositoryModelLoad', 'load'],
      ['RepositoryModelUnload', 'unload'],
    ] as const) {
      expect((await call(method, { model_name: 'digits' }, { as: operatorToken })).answer).toEqual({});
      expect(world.worker.last.path).toBe(`/v2/repository/models/model-1/${what}`);
      expect(await refusalOf(method, { model_name: 'digits' })).toEqual({ status: 'PERMISSION_DENIED', code: 'access.forbidden' });
      expect(
        await refusalOf(method, { model_name: 'digits', parameters: { config: { string_param: '{}' } } }, { as: operatorToken }),
      ).toEqual({
        status: 'INVALID_ARGUMENT',
        code: 'request.invalid',
      });
    }
    for (const message of [{ name: 'digits' }, {}]) {
      expect((await call('ModelStatistics', message, { as: operatorToken })).answer).toMatchObject({
        model_stats: [{ name: 'digits', version: '1', inference_count: '3', inference_stats: { success: { count: '3', ns: '9' } } }],
      });
      expect(await refusalOf('ModelStatistics', message)).toMatchObject({ status: 'PERMISSION_DENIED' });
    }
  });
});

test('without a valid credential a call is refused before its message is decoded', async () => {
  for (const [authorization, code] of [
    [null, 'auth.required'],
    ['Bearer weir_sk_wrong', 'auth.invalid'],
  ] as const) {
    const metadata = new Metadata();
    metadata.set('x-request-id', 'request-42');
    if (authorization !== null) metadata.set('authorization', authorization);
    const noMessage = Buffer.alloc(100_000, 0xff);
    const refusal = await new Promise<ServiceError | null>((resolve) => {
      client.makeUnaryRequest(
        '/inference.GRPCInferenceService/ModelInfer',
        () => noMessage,
        () => null,
        {},
        metadata,
        {},
        resolve,
      );
    });
    expect([refusal?.code, refusal?.metadata.get('x-weir-error-code'), refusal?.metadata.get('x-request-id')]).toEqual([
      status.UNAUTHENTICATED,
      [code],
      ['request-42'],
    ]);
  }
});

test("another tenant's private model does not exist, whatever is asked of it", async () => {
  await world.deploy({ modelId: 'model-6', model: 'rival/own', versionId: 'version-1', ownerTenantId: 'rival', visibility: 'private' });
  const rival = await world.aKey('rival');
  await eventually(async () => (await call('ModelReady', { name: 'rival/own' }, { as: rival })).answer['ready']);
  for (const method of ['ModelReady', 'ModelMetadata'])
    expect(await refusalOf(method, { name: 'rival/own' })).toEqual({ status: 'NOT_FOUND', code: 'model.not_found' });
  expect(await refusalOf('ModelInfer', aCall({ model_name: 'rival/own' }))).toEqual({ status: 'NOT_FOUND', code: 'model.not_found' });
  expect(JSON.stringify((await call('RepositoryIndex')).answer)).not.toContain('rival/own');
});

test('a call under way is finished when the gateway is told to stop, and a new one is not taken', async () => {
  const { promise: asked, resolve: wasAsked } = Promise.withResolvers<void>();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  world.worker.answers = async () => {
    wasAsked();
    await released;
    return undefined;
  };
  const underWay = call('ModelInfer', aCall());
  await asked;
  const stopped = world.gateway.stop();
  const late = new Client(world.grpcAddress, credentials.createInsecure());
  await eventually(() => new Promise((resolve) => late.waitForReady(Date.now() + 100, (error) => resolve(error !== undefined))));
  late.close();
  release();
  expect((await underWay).answer).toMatchObject({ id: 'call-7' });
  await stopped;
});

test('every kind of error has a status that gRPC knows', () => {
  for (const [kind, { grpcStatus }] of Object.entries(ERROR_KINDS)) {
    expect(status[grpcStatusOf(kind as keyof typeof ERROR_KINDS)], kind).toBe(grpcStatus);
  }
});
