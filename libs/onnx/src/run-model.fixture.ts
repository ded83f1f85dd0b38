// Loads a model in a process of its own, calls it, and prints what came of it as the last line:
//
//   node run-model.fixture.ts <model file> <call of the Open Inference Protocol as JSON, or null>
import onnxruntime from 'onnxruntime-node';
import type { HostileCall } from '@weir/testing';

const { InferenceSession, Tensor } = onnxruntime;
const [path = '', callText = 'null'] = process.argv.slice(2);
const call = JSON.parse(callText) as HostileCall | null;

console.log(await outcome());

async function outcome(): Promise<string> {
  let session;
  try {
    session = await InferenceSession.create(path, { intraOpNumThreads: 1, logSeverityLevel: 4 });
  } catch (error) {
    return isOutOfMemory(error) ? 'exhausts memory' : 'refuses';
  }
  if (call === null) return 'loads';
  try {
    const feeds = Object.create(null);
    for (const input of call.inputs) feeds[input.name] = tensorOf(input);
    await session.run(feeds);
    return 'answers';
  } catch (error) {
    return isOutOfMemory(error) ? 'exhausts memory' : 'fails the call';
  }
}

function isOutOfMemory(error: unknown): boolean {
  return /bad_alloc|Failed to allocate memory/.test(String(error));
}

function tensorOf({ datatype, shape, data }: HostileCall['inputs'][number]) {
  switch (datatype) {
    case 'FP32':
      return new Tensor('float32', Float32Array.from(data, Number), shape);
    case 'INT32':
      return new Tensor('int32', Int32Array.from(data, Number), shape);
    case 'INT64':
      return new Tensor(
        'int64',
        BigInt64Array.from(data, (value) => BigInt(Number(value))),
        shape,
      );
    case 'BOOL':
      return new Tensor('bool', Uint8Array.from(data, Number), shape);
    default:
      return new Tensor('string', data.map(String), shape);
  }
}
