import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

const TIMEOUT_MS = 10_000;
const MIB = 1_048_576;

/** A graphics card as NVIDIA's driver knows it. */
export interface NvidiaGpu {
  readonly index: number;
  readonly uuid: string;
  readonly name: string;
  readonly memoryBytes: number;
}

/** What `nvidia-smi --query-gpu=index,uuid,name,memory.total --format=csv,noheader,nounits` prints; lines that are otherwise are left out. */
export function parseNvidiaGpus(text: string): NvidiaGpu[] {
  return text.split('\n').flatMap((line) => {
    const [index, uuid, name, mebibytes] = line.split(',').map((part) => part.trim());
    if (index === undefined || uuid === undefined || name === undefined || mebibytes === undefined) return [];
    if (!/^\d+$/.test(index) || !/^\d+$/.test(mebibytes)) return [];
    return [{ index: Number(index), uuid, name, memoryBytes: Number(mebibytes) * MIB }];
  });
}

/**
 * The card that ONNX Runtime uses when it is told none: the first that CUDA shows it.
 *
 * @param visible the variable CUDA_VISIBLE_DEVICES: places in the list, or the beginnings of ids
 */
export function visibleGpu(gpus: readonly NvidiaGpu[], visible: string | undefined): NvidiaGpu | undefined {
  if (visible === undefined) return gpus[0];
  const [first = ''] = visible.split(',').map((part) => part.trim());
  if (first === '') return undefined;
  return /^\d+$/.test(first) ? gpus.find(({ index }) => index === Number(first)) : gpus.find(({ uuid }) => uuid.startsWith(first));
}

/** The cards of this machine; none when NVIDIA's tool is not there or does not answer. */
export async function nvidiaGpus(): Promise<NvidiaGpu[]> {
  const query = ['--query-gpu=index,uuid,name,memory.total', '--format=csv,noheader,nounits'];
  try {
    const { stdout } = await run('nvidia-smi', query, { timeout: TIMEOUT_MS });
    return parseNvidiaGpus(stdout);
  } catch {
    // Containers often come without the tool: then nobody knows the name and the memory, but the card is there all the same.
    return [];
  }
}
