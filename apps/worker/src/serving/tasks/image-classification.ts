import { MODEL } from '../model-package/model-package.ts';
import { classificationOutputs, logitsOutput, scoresOf, topLabels } from './classification.ts';
import { forEachPicture } from './images/image-items.ts';
import { imageFeed, imageInput, picturesAtOnce, preparationOf } from './images/image-run.ts';
import { prepareImage } from './images/prepared-image.ts';
import { numbersOf, runPrepared } from './prepared-run.ts';
import { signatureOfRole } from './signature.ts';
import { defineTask } from './task-definition.ts';
import { ONE_INPUT, type TaskAnswer, type TaskCall } from './task.ts';

/** Pictures in, labels with scores out. */
export const imageClassification = defineTask({
  assertFits: (modelPackage, signatures) => {
    const signature = signatureOfRole(signatures, MODEL);
    imageInput(signature.inputs, preparationOf(modelPackage));
    logitsOutput(signature);
  },
  prepare: (modelPackage, signatures) => {
    const signature = signatureOfRole(signatures, MODEL);
    const preparation = preparationOf(modelPackage);
    return { preparation, input: imageInput(signature.inputs, preparation), output: logitsOutput(signature) };
  },
  infer: classifyImages,
});

async function classifyImages(
  call: TaskCall,
  { preparation, input, output }: { preparation: ReturnType<typeof preparationOf>; input: ReturnType<typeof imageInput>; output: string },
): Promise<TaskAnswer> {
  const { modelPackage } = call.version;
  const keep = topLabels(call.request.parameters);
  const scores = await forEachPicture(call, picturesAtOnce(preparation), async (file, turns) => {
    const picture = await prepareImage(file, preparation, call, turns);
    const item = { network: MODEL, feeds: [imageFeed(input, picture)], outputs: [output], usage: ONE_INPUT };
    const [logits] = await runPrepared(call, item);
    return scoresOf(numbersOf(logits, [1, null]), modelPackage.isMultiLabel);
  });
  return {
    outputs: classificationOutputs(scores.flat(), modelPackage.labels, keep),
    usage: { inputs: scores.length, 'input-tokens': 0 },
  };
}
