// Prints by how many bytes the process grows when a second thread loads and runs a model that takes `x [n, width]`:
//
//   node session-memory.fixture.ts <model file>
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import onnxruntime from 'onnxruntime-node';

if (isMainThread) {
  const path = process.argv[2] ?? '';
  await loaded(path);
  const before = process.memoryUsage.rss();
  await loaded(path);
  console.log(process.memoryUsage.rss() - before);
  process.exit();
} else {
  const session = await onnxruntime.InferenceSession.create(workerData, { intraOpNumThreads: 1 });
  const [input] = session.inputMetadata;
  const width = input?.isTensor === true ? Number(input.shape[1]) : 0;
  await session.run({ x: new onnxruntime.Tensor('float32', new Float32Array(width), [1, width]) });
  parentPort?.postMessage('loaded');
  // Held by the listener until the process ends.
  parentPort?.on('message', () => session);
}

async function loaded(path: string): Promise<void> {
  await once(new Worker(new URL(import.meta.url), { workerData: path }), 'message');
}
