import { AppError } from '@weir/kernel';
import type { BytesElement } from '@weir/open-inference';
import type { TaskCall } from './task.ts';
import type { Turns } from './turns.ts';

/** Characters of base64 that are decoded at once: a millisecond's work. A multiple of 4. */
const BASE64_PIECE = 1_048_576;

/** @throws model.input_invalid when a processed input of binary contents (pictures, sound) says that they are something else than base64 */
export function assertBase64({ request: { inputs } }: Pick<TaskCall, 'request'>): void {
  const contentType = inputs[0]?.parameters?.['content_type'];
  if (contentType !== undefined && contentType !== 'base64')
    throw new AppError('model.input_invalid', {
      field: 'inputs[0].parameters.content_type',
      message: `input ${JSON.stringify(inputs[0]?.name)}: content_type must be "base64"`,
    });
}

/** The contents of an item: base64 where it came in JSON, as they are where they came as bytes. Null when it is not base64. */
export async function bytesOfItem(item: BytesElement, turns: Turns): Promise<Buffer | null> {
  return typeof item === 'string' ? fromBase64(item, turns) : Buffer.from(item.buffer, item.byteOffset, item.byteLength);
}

async function fromBase64(text: string, turns: Turns): Promise<Buffer | null> {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes = Buffer.allocUnsafe(Math.floor(((text.length - padding) * 3) / 4));
  let written = 0;
  for (let at = 0; at < text.length; at += BASE64_PIECE) {
    if (turns.isOver) await turns.next();
    written += bytes.write(text.slice(at, at + BASE64_PIECE), written, 'base64');
  }
  // The decoder passes over what is no base64: then fewer bytes come out than the length promised.
  return text === '' || text.length % 4 === 1 || written !== bytes.length ? null : bytes;
}
