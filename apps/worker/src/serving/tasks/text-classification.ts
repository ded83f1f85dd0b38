import { AppError } from '@weir/kernel';
import { MODEL } from '../model-package/model-package.ts';
import { classificationOutputs, logitsOutput, scoresOf, topLabels } from './classification.ts';
import { numbersOf, runPrepared } from './prepared-run.ts';
import { textsOf } from './processed-input.ts';
import { signatureOfRole } from './signature.ts';
import { defineTask } from './task-definition.ts';
import type { TaskAnswer, TaskCall } from './task.ts';
import { assertTakesText, textItem } from './text-run.ts';
import { readTextTokenizer, type TextTokenizer } from './tokenization.ts';

/** Texts in, labels with scores out. */
export const textClassification = defineTask({
  assertFits: (_, signatures) => {
    const signature = signatureOfRole(signatures, MODEL);
    assertTakesText(signature);
    logitsOutput(signature);
  },
  prepare: ({ text }) => {
    if (text === null) throw new AppError('model.package_invalid');
    return readTextTokenizer(text);
  },
  infer: classifyTexts,
});

async function classifyTexts(call: TaskCall, tokenizer: TextTokenizer): Promise<TaskAnswer> {
  const { modelPackage, signatures } = call.version;
  const keep = topLabels(call.request.parameters);
  const texts = textsOf(call);
  const signature = signatureOfRole(signatures, MODEL);
  const output = logitsOutput(signature);
  const encoded = texts.map((text) => tokenizer.encode(text));
  const scores = await Promise.all(
    encoded.map(async (ids) => {
      const [logits] = await runPrepared(call, textItem(signature, ids, [output]));
      return scoresOf(numbersOf(logits, [1, null]), modelPackage.isMultiLabel);
    }),
  );
  return {
    outputs: classificationOutputs(scores.flat(), modelPackage.labels, keep),
    usage: { inputs: texts.length, 'input-tokens': encoded.reduce((sum, ids) => sum + ids.length, 0) },
  };
}
