import type { BytesElement } from '@weir/open-inference';
import pMap from 'p-map';
import { assertBase64 } from '../binary-items.ts';
import { itemsOf, processedInput } from '../processed-input.ts';
import type { TaskCall } from '../task.ts';
import { Turns } from '../turns.ts';
import { pictureFile, type PictureFile } from './picture-file.ts';

/**
 * Does a task's work for every picture of a call, some at a time; the first that fails ends the call.
 *
 * @throws model.input_invalid when the input is no list of pictures in base64 or bytes
 * @throws model.image_invalid naming the picture that cannot be read
 */
export function forEachPicture<R>(
  call: TaskCall,
  atOnce: number,
  work: (file: PictureFile, turns: Turns) => Promise<R>,
): Promise<readonly R[]> {
  assertBase64(call);
  const items: readonly BytesElement[] = itemsOf(processedInput(call), call.limits.maxItems);
  const turns = new Turns(call.signal);
  const each = async (item: BytesElement, index: number): Promise<R> => {
    if (turns.isOver) await turns.next();
    return work(await pictureFile(item, index, turns), turns);
  };
  return pMap(items, each, { concurrency: atOnce, signal: call.signal });
}
