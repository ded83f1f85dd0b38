import { readFile } from 'node:fs/promises';
import {
  AUDIO_INPUT,
  IMAGE_INPUT,
  parseInferenceRequest,
  RECORD_INPUT,
  SEED_INPUT,
  TEXT_INPUT,
  USER_INPUT,
  type RequestTensor,
} from '@weir/open-inference';
import { pathOf } from '../model-package/package-files.ts';
import type { ModelPackage } from '../model-package/model-package.ts';
import type { TaskRequest } from '../tasks/task.ts';

/** The examples of a package as requests; one that cannot be read is left out. */
export async function exampleRequests(modelPackage: ModelPackage): Promise<TaskRequest[]> {
  const requests: TaskRequest[] = [];
  for (const { input } of modelPackage.weir.examples ?? []) {
    try {
      const request = await requestOf(modelPackage, input);
      if (request !== null) requests.push(request);
    } catch {
      // Examples are for people; a broken one is no reason to refuse the model.
    }
  }
  return requests;
}

async function requestOf(
  modelPackage: ModelPackage,
  input: NonNullable<ModelPackage['weir']['examples']>[number]['input'],
): Promise<TaskRequest | null> {
  if (input.requestFile !== undefined) {
    const body: unknown = JSON.parse(await readFile(pathOf(modelPackage, input.requestFile), 'utf8'));
    const { inputs, parameters } = parseInferenceRequest(body);
    return { inputs, outputs: [], parameters: parameters ?? {} };
  }
  const file = (path: string): Promise<Uint8Array> => readFile(pathOf(modelPackage, path));
  if (input.text !== undefined) return processed(TEXT_INPUT, [input.text]);
  if (input.imageFile !== undefined) return processed(IMAGE_INPUT, [], await file(input.imageFile));
  if (input.audioFile !== undefined) return processed(AUDIO_INPUT, [], await file(input.audioFile));
  if (input.record !== undefined) return processed(RECORD_INPUT, [JSON.stringify(input.record)]);
  if (input.user !== undefined) return processed(USER_INPUT, [input.user]);
  if (input.seed !== undefined)
    return { inputs: [{ name: SEED_INPUT, datatype: 'INT64', shape: [1], data: [input.seed] }], outputs: [], parameters: {} };
  return null;
}

function processed(name: string, data: readonly string[], content?: Uint8Array): TaskRequest {
  const input: RequestTensor = { name, datatype: 'BYTES', shape: [1], data: content === undefined ? data : lengthPrefixed(content) };
  return { inputs: [input], outputs: [], parameters: {} };
}

/** One element of `BYTES` as the binary extension carries it. */
function lengthPrefixed(content: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(4 + content.length);
  bytes.writeUInt32LE(content.length);
  bytes.set(content, 4);
  return bytes;
}
