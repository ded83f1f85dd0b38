import { MODEL } from '../model-package/model-package.ts';
import { classificationOutputs, logitsOutput, scoresOf, topLabels } from './classification.ts';
import { numbersOf, runPrepared } from './prepared-run.ts';
import { textsOf } from './processed-input.ts';
import { signatureOfRole } from './signature.ts';
import { defineTask } from './task-definition.ts';
import type { TaskAnswer, TaskCall } from './task.ts';
import { assertTakesText, encodedTexts, openTokenizer, textItem } from './texts/text-run.ts';
import type { TextTokenizer } from './texts/text-tokenizer.ts';

/** Texts in, labels with scores out. */
export const textClassification = defineTask({
  assertFits: (_, signatures) => {
    const signature = signatureOfRole(signatures, MODEL);
    assertTakesText(signature);
    logitsOutput(signature);
  },
  prepare: openTokenizer,
  infer: classifyTexts,
  close: (tokenizer) => tokenizer.close(),
});

async function classifyTexts(call: TaskCall, tokenizer: TextTokenizer): Promise<TaskAnswer> {
  const { modelPackage, signatures } = call.version;
  const keep = topLabels(call.request.parameters);
  const signature = signatureOfRole(signatures, MODEL);
  const output = logitsOutput(signature);
  const { rows, usage } = await encodedTexts(call, tokenizer, textsOf(call));
  const scores = await Promise.all(
    rows.map(async ({ ids }) => {
      const [logits] = await runPrepared(call, textItem(signature, ids, [output]));
      return scoresOf(numbersOf(logits, [1, null]), modelPackage.isMultiLabel);
    }),
  );
  return { outputs: classificationOutputs(scores.flat(), modelPackage.labels, keep), usage };
}
