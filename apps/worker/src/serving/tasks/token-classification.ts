import { COUNT_OUTPUT, END_OUTPUT, LABEL_OUTPUT, SCORE_OUTPUT, START_OUTPUT, type Tensor } from '@weir/open-inference';
import { MODEL, type ModelPackage } from '../model-package/model-package.ts';
import { logitsOutput, scoresOf } from './classification.ts';
import { failed, numbersOf, runPrepared } from './prepared-run.ts';
import { textsOf } from './processed-input.ts';
import { signatureOfRole, type Signature } from './signature.ts';
import { defineTask } from './task-definition.ts';
import type { TaskAnswer, TaskCall } from './task.ts';
import { entitiesOf, wordsOf, type ClassifiedToken, type Entity } from './texts/entities.ts';
import { assertTakesText, encodedTexts, openTokenizer, textItem } from './texts/text-run.ts';
import type { TextTokenizer, TokenRow } from './texts/text-tokenizer.ts';

/** Texts in, entities (names, places …) with their place in the text out. */
export const tokenClassification = defineTask({
  assertFits: (_, signatures) => {
    const signature = signatureOfRole(signatures, MODEL);
    assertTakesText(signature);
    logitsOutput(signature);
  },
  prepare: openTokenizer,
  infer: classifyTokens,
  close: (tokenizer) => tokenizer.close(),
});

async function classifyTokens(call: TaskCall, tokenizer: TextTokenizer): Promise<TaskAnswer> {
  const texts = textsOf(call);
  const { rows, usage } = await encodedTexts(call, tokenizer, texts, { withOffsets: true });
  const entities = await Promise.all(rows.map((row, index) => entitiesOfText(call, row, texts[index] ?? '')));
  return { outputs: entityOutputs(entities), usage };
}

async function entitiesOfText(call: TaskCall, row: TokenRow, text: string): Promise<Entity[]> {
  const { modelPackage, signatures } = call.version;
  const signature: Signature = signatureOfRole(signatures, MODEL);
  const [output] = await runPrepared(call, textItem(signature, row.ids, [logitsOutput(signature)]));
  const logits = numbersOf(output, [1, row.ids.length, null]);
  const [, , classes = 0] = logits.dims;
  if (classes === 0) throw failed('it gave no classes');
  const scores = scoresOf({ dims: [row.ids.length, classes], data: logits.data }, false);
  const tokens = scores.map((each, index) => bestOf(each, modelPackage, row.offsets, index)).filter((token) => token !== null);
  return entitiesOf(modelPackage.weir.entities?.aggregation === 'first' ? wordsOf(tokens, text) : tokens);
}

/** What the model thinks of a token; null of a special one. */
function bestOf(scores: ArrayLike<number>, { labels }: ModelPackage, offsets: Int32Array, index: number): ClassifiedToken | null {
  const start = offsets[2 * index] ?? -1;
  if (start === -1) return null;
  let best = 0;
  for (let label = 1; label < scores.length; label++) if ((scores[label] ?? 0) > (scores[best] ?? 0)) best = label;
  return { label: labels[best] ?? `LABEL_${best}`, score: scores[best] ?? 0, start, end: offsets[2 * index + 1] ?? start };
}

/** Rows are as long as the longest one. */
function entityOutputs(texts: readonly (readonly Entity[])[]): Tensor[] {
  const width = texts.reduce((longest, entities) => Math.max(longest, entities.length), 0);
  const shape = [texts.length, width];
  const filled = texts.flatMap((entities) => Array.from({ length: width }, (_, rank) => entities[rank] ?? null));
  return [
    { name: LABEL_OUTPUT, datatype: 'BYTES', shape, data: filled.map((entity) => entity?.label ?? '') },
    { name: SCORE_OUTPUT, datatype: 'FP32', shape, data: Float32Array.from(filled, (entity) => entity?.score ?? 0) },
    { name: START_OUTPUT, datatype: 'INT32', shape, data: Int32Array.from(filled, (entity) => entity?.start ?? 0) },
    { name: END_OUTPUT, datatype: 'INT32', shape, data: Int32Array.from(filled, (entity) => entity?.end ?? 0) },
    { name: COUNT_OUTPUT, datatype: 'INT32', shape: [texts.length], data: Int32Array.from(texts, ({ length }) => length) },
  ];
}
