import { AppError } from '@weir/kernel';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeTensor, encodeTensor } from './codec.ts';
import { encodeRequest, readRequest } from './request.ts';
import { encodeResponse, readResponse } from './response.ts';
import { elementCount, toHalfBits, type Tensor, type TensorData } from './tensor.ts';
import { DATATYPES, HEADER_LENGTH_HEADER, type Datatype, type EncodedTensor } from './types.ts';

const shapes = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 });
const finite = { noNaN: true, noDefaultInfinity: true };

/** JSON has no -0. */
const withoutSign = (value: number): number => (value === 0 ? 0 : value);

/** Elements of a datatype: those that JSON can say, or all. */
function elements(datatype: Datatype, count: number, forJson: boolean): fc.Arbitrary<TensorData> {
  const exactly = { minLength: count, maxLength: count };
  const numbers = (min: number, max: number): fc.Arbitrary<number[]> => fc.array(fc.integer({ min, max }), exactly);
  switch (datatype) {
    case 'BOOL':
      return numbers(0, 1).map((values) => Uint8Array.from(values));
    case 'UINT8':
      return numbers(0, 0xff).map((values) => Uint8Array.from(values));
    case 'UINT16':
      return numbers(0, 0xffff).map((values) => Uint16Array.from(values));
    case 'UINT32':
      return numbers(0, 0xffff_ffff).map((values) => Uint32Array.from(values));
    case 'INT8':
      return numbers(-0x80, 0x7f).map((values) => Int8Array.from(values));
    case 'INT16':
      return numbers(-0x8000, 0x7fff).map((values) => Int16Array.from(values));
    case 'INT32':
      return numbers(-0x8000_0000, 0x7fff_ffff).map((values) => Int32Array.from(values));
    case 'INT64':
      return fc
        .array(forJson ? fc.maxSafeInteger().map(BigInt) : fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), exactly)
        .map((values) => BigInt64Array.from(values));
    case 'UINT64':
      return fc
        .array(forJson ? fc.maxSafeNat().map(BigInt) : fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), exactly)
        .map((values) => BigUint64Array.from(values));
    case 'FP16':
      return forJson
        ? numbers(-2048, 2048).map((values) => toHalfBits(values.map((value) => value / 8)))
        : numbers(0, 0xffff).map((values) => Uint16Array.from(values));
    case 'FP32':
      return fc.array(forJson ? fc.float(finite).map(withoutSign) : fc.float(), exactly).map((values) => Float32Array.from(values));
    case 'FP64':
      return fc.array(forJson ? fc.double(finite).map(withoutSign) : fc.double(), exactly).map((values) => Float64Array.from(values));
    case 'BYTES':
      return forJson
        ? fc.array(fc.string({ unit: 'grapheme' }), exactly)
        : fc.array(fc.uint8Array({ maxLength: 40 }), exactly).map((values) => values.map((value) => Buffer.from(value)));
  }
}

const tensors = (forJson: boolean): fc.Arbitrary<Tensor> =>
  fc
    .tuple(fc.constantFrom(...DATATYPES), shapes, fc.string({ minLength: 1 }))
    .chain(([datatype, shape, name]) => elements(datatype, elementCount(shape), forJson).map((data) => ({ name, datatype, shape, data })));

const differentNames = (forJson: boolean): fc.Arbitrary<Tensor[]> =>
  fc.uniqueArray(tensors(forJson), { minLength: 1, maxLength: 5, selector: ({ name }) => name });

const decoded = (encoded: readonly EncodedTensor[]): Tensor[] => encoded.map((tensor, index) => decodeTensor(tensor, `inputs[${index}]`));
const ASK_BYTES = { parameters: { binary_data_output: true } };

describe('what is encoded is what was meant', () => {
  it('in bytes, of every datatype, with NaN, infinities and 64 bits', () => {
    fc.assert(
      fc.property(differentNames(false), (outputs) => {
        const { body, headers } = encodeResponse({ model_name: 'm', outputs }, ASK_BYTES);
        expect(decoded(readResponse(body, headers).outputs)).toEqual(outputs);
      }),
    );
  });

  it('in JSON, of every datatype', () => {
    fc.assert(
      fc.property(differentNames(true), (outputs) => {
        const { body, headers } = encodeResponse({ model_name: 'm', outputs }, {});
        expect(decoded(readResponse(body, headers).outputs)).toEqual(outputs);
      }),
    );
  });

  it('in requests that mix JSON and bytes', () => {
    fc.assert(
      fc.property(differentNames(true), differentNames(false), fc.string({ maxLength: 20 }), (inJson, inBytes, id) => {
        const asBytes = encodeResponse({ model_name: 'm', outputs: inBytes }, ASK_BYTES);
        const bytes = readResponse(asBytes.body, asBytes.headers).outputs.map((tensor) => ({ ...tensor, name: `bytes ${tensor.name}` }));
        const json = inJson.map(encodeTensor).map((tensor) => ({ ...tensor, name: `json ${tensor.name}` }));
        const { body, headers } = encodeRequest({ id, inputs: [...json, ...bytes] });
        const request = readRequest(body, headers);
        expect(request.id).toBe(id);
        expect(decoded(request.inputs)).toEqual(decoded([...json, ...bytes]));
      }),
    );
  });
});

/** Reads and decodes everything; an error is the caller's or nothing is. */
function onlyRefuses(body: Buffer, length: string | undefined): void {
  try {
    decoded(readRequest(body, { [HEADER_LENGTH_HEADER]: length }).inputs);
  } catch (error) {
    if (!(error instanceof AppError) || error.kind === 'internal') throw error;
  }
}

describe('nothing that a caller sends crashes the reader', () => {
  it('bytes without sense', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.option(fc.string(), { nil: undefined }), (bytes, length) =>
        onlyRefuses(Buffer.from(bytes), length),
      ),
    );
  });

  it('JSON without sense, with any bytes behind it', () => {
    fc.assert(
      fc.property(fc.json(), fc.uint8Array({ maxLength: 50 }), (json, bytes) =>
        onlyRefuses(Buffer.concat([Buffer.from(json), bytes]), String(Buffer.byteLength(json))),
      ),
    );
  });

  it('requests of which one field is anything', () => {
    const inputs = fc.record(
      {
        name: fc.oneof(fc.string(), fc.constant('__proto__'), fc.jsonValue()),
        shape: fc.oneof(fc.array(fc.oneof(fc.integer(), fc.maxSafeNat(), fc.double(), fc.jsonValue())), fc.jsonValue()),
        datatype: fc.oneof(fc.constantFrom(...DATATYPES), fc.jsonValue()),
        data: fc.oneof(fc.array(fc.oneof(fc.integer(), fc.double(), fc.string(), fc.boolean())), fc.jsonValue()),
        parameters: fc.oneof(fc.record({ binary_data_size: fc.oneof(fc.integer(), fc.jsonValue()) }), fc.jsonValue()),
      },
      { requiredKeys: [] },
    );
    const requests = fc.record(
      { inputs: fc.array(inputs), id: fc.jsonValue(), outputs: fc.jsonValue(), parameters: fc.jsonValue() },
      { requiredKeys: ['inputs'] },
    );
    fc.assert(
      fc.property(requests, fc.uint8Array({ maxLength: 50 }), (request, bytes) => {
        const json = Buffer.from(JSON.stringify(request));
        onlyRefuses(Buffer.concat([json, bytes]), String(json.length));
      }),
      { numRuns: 500 },
    );
  });

  it('true requests of which some bytes were changed or lost', () => {
    const changes = fc.array(fc.tuple(fc.nat({ max: 2000 }), fc.integer({ min: 0, max: 255 })), { maxLength: 5 });
    fc.assert(
      fc.property(differentNames(false), changes, fc.nat({ max: 30 }), (outputs, changed, lost) => {
        const { body, headers } = encodeResponse({ model_name: 'm', outputs }, ASK_BYTES);
        const text = body.toString('latin1').replace('"outputs"', '"inputs" ');
        const request = Buffer.from(text, 'latin1').subarray(0, Math.max(0, body.length - lost));
        for (const [position, value] of changed) if (position < request.length) request[position] = value;
        onlyRefuses(request, headers[HEADER_LENGTH_HEADER]);
      }),
      { numRuns: 500 },
    );
  });
});
