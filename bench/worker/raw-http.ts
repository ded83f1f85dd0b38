import { createServer } from 'node:http';
import { InferenceSession, Tensor } from 'onnxruntime-node';

/** What somebody writes in an afternoon: `node:http` and ONNX Runtime in one process, each call run by itself and nothing checked. */
const session = await InferenceSession.create(process.argv[2] ?? '', { intraOpNumThreads: 1, interOpNumThreads: 1 });

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const { inputs } = JSON.parse(Buffer.concat(chunks).toString()) as { inputs: { data: number[]; shape: number[] }[] };
    const [x] = inputs;
    void session.run({ x: new Tensor('float32', Float32Array.from(x?.data ?? []), x?.shape ?? []) }).then(({ y }) => {
      const outputs = [{ name: 'y', datatype: 'FP32', shape: y?.dims, data: Array.from((y?.data ?? []) as Float32Array) }];
      const body = JSON.stringify({ model_name: 'network', outputs });
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
      response.end(body);
    });
  });
});
server.keepAliveTimeout = 120_000;
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null) process.send?.(address.port);
});
process.on('disconnect', () => process.exit(0));
