import { describe, expect, it } from 'vitest';
import { priorityOf, sequenceIdOf, timeoutMsOf } from './call-headers.ts';
import { encodeRequest } from './request.ts';
import type { Parameters } from './types.ts';

describe('the time that a caller waits', () => {
  it.each([
    ['250', 250],
    [undefined, undefined],
  ])('said as %j is %j', (header, timeoutMs) => {
    expect(timeoutMsOf(header)).toBe(timeoutMs);
  });

  it.each(['0', '-1', '1.5', 'soon', '', '1e3', '9999999999', ['1', '2']])(
    'said as %j is refused with the header that is wrong',
    (header) => {
      expect(() => timeoutMsOf(header)).toThrowError(expect.objectContaining({ code: 'request.invalid', field: 'x-weir-timeout-ms' }));
    },
  );
});

describe('the priority of a call', () => {
  it.each(['interactive', 'batch', undefined])('may be %j', (priority) => {
    expect(priorityOf(priority)).toBe(priority);
  });

  it.each(['urgent', '', 'Batch', ['batch', 'batch']])('said as %j is refused with the header that is wrong', (header) => {
    expect(() => priorityOf(header)).toThrowError(expect.objectContaining({ code: 'request.invalid', field: 'x-weir-priority' }));
  });
});

describe('the sequence of a call', () => {
  const input = { name: 'x', shape: [1], datatype: 'UINT8' as const };
  const inJson = (parameters?: Parameters) => encodeRequest({ inputs: [{ ...input, data: [1] }], parameters });
  const inBytes = (parameters?: Parameters) => encodeRequest({ inputs: [{ ...input, data: Uint8Array.of(1) }], parameters });

  it.each([
    [{ sequence_id: 7 }, '7'],
    [{ sequence_id: 'call-7' }, 'call-7'],
    [{ sequence_id: 0 }, undefined],
    [{ sequence_id: '' }, undefined],
    [{ sequence_id: {} }, undefined],
    [{ note: '"sequence_id"' }, undefined],
    [undefined, undefined],
  ])('that says %j is %j, in JSON and in bytes', (parameters, sequence) => {
    expect(sequenceIdOf(inJson(parameters))).toBe(sequence);
    expect(sequenceIdOf(inBytes(parameters))).toBe(sequence);
  });

  it('is not looked for in the bytes of a tensor', () => {
    const bytes = new Uint8Array(Buffer.from('{"parameters":{"sequence_id":9}}'));
    expect(sequenceIdOf(encodeRequest({ inputs: [{ ...input, shape: [bytes.length], data: bytes }] }))).toBeUndefined();
  });
});
