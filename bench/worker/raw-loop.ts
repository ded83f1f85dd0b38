import { InferenceSession, Tensor } from 'onnxruntime-node';

/**
 * ONNX Runtime and nothing else: runs of the shapes that it is told, one after the other, in a process of its own. The
 * options are the worker's.
 */
const session = await InferenceSession.create(process.argv[2] ?? '', {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  extra: { session: { intra_op: { allow_spinning: '0' } } },
});
const feedsOf = new Map<string, Record<string, Tensor>>();

process.on('message', (shapes: number[][]) => {
  void (async () => {
    for (const shape of shapes) {
      const key = shape.join();
      const feeds = feedsOf.get(key) ?? feedsOfShape(shape);
      feedsOf.set(key, feeds);
      await session.run(feeds);
    }
    process.send?.('done');
  })();
});
process.on('disconnect', () => process.exit(0));
process.send?.('ready');

function feedsOfShape(shape: readonly number[]): Record<string, Tensor> {
  const size = shape.reduce((count, axis) => count * axis, 1);
  const tensorOf = (type: string): Tensor =>
    type === 'int64'
      ? new Tensor('int64', new BigInt64Array(size).fill(1n), shape)
      : new Tensor('float32', new Float32Array(size).fill(0.25), shape);
  return Object.fromEntries(session.inputMetadata.flatMap((input) => (input.isTensor ? [[input.name, tensorOf(input.type)]] : [])));
}
