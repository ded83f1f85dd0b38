import { createServer } from 'node:http';

/** A worker that answers at once with what a classifier answers: so that only the way to it is measured. */
const answer = JSON.stringify({
  model_name: 'digits',
  model_version: '1',
  parameters: { usage: { inputs: 1, 'input-tokens': 0 } },
  outputs: [
    { name: 'label', shape: [1, 10], datatype: 'BYTES', data: ['7', '1', '2', '3', '4', '5', '6', '0', '8', '9'] },
    { name: 'score', shape: [1, 10], datatype: 'FP32', data: [0.99, 0.002, 0.002, 0.001, 0.001, 0.001, 0.001, 0.001, 0.0005, 0.0005] },
  ],
});

const server = createServer((request, response) => {
  request.resume();
  request.on('end', () => {
    response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(answer),
      'x-weir-usage': 'inputs=1,input-tokens=0',
    });
    response.end(answer);
  });
});
server.keepAliveTimeout = 120_000;
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null) process.send?.(address.port);
});
process.on('disconnect', () => process.exit(0));
