import { encodeRequest } from '@weir/open-inference';
import type { Call } from './calls.ts';
import type { BenchNetwork } from './networks.ts';

/** How the numbers of a call travel. */
export type Body = 'JSON' | 'binary';

/** Numbers as a caller has them: the same ones for everybody who is measured. */
export function rowOf({ rowSize }: BenchNetwork): number[] {
  return Array.from({ length: rowSize }, (_, index) => ((index * 37) % 101) / 100);
}

/** One row for a network by the Open Inference Protocol; bytes are answered with bytes. */
export function openInferenceCall(
  network: BenchNetwork,
  body: Body,
  { origin, model, headers }: { readonly origin: string; readonly model: string; readonly headers: Readonly<Record<string, string>> },
): Call {
  const x = { name: 'x', shape: [1, network.rowSize], datatype: 'FP32' } as const;
  const row = rowOf(network);
  const message =
    body === 'JSON'
      ? encodeRequest({ inputs: [{ ...x, data: row }] })
      : encodeRequest({
          parameters: { binary_data_output: true },
          inputs: [{ ...x, data: new Uint8Array(Float32Array.from(row).buffer) }],
        });
  return { origin, path: `/v2/models/${model}/infer`, headers: { ...message.headers, ...headers }, body: Buffer.from(message.body) };
}
