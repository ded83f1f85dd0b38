import { AppError } from '@weir/kernel';
import { EMBEDDING_OUTPUT } from '@weir/open-inference';
import { MODEL, type ModelPackage } from '../model-package/model-package.ts';
import { failed, numbersOf, runPrepared } from './prepared-run.ts';
import { textsOf } from './processed-input.ts';
import { describeTensor, signatureOfRole, type Signature, type SignatureTensor } from './signature.ts';
import { defineTask } from './task-definition.ts';
import type { TaskAnswer, TaskCall } from './task.ts';
import { embeddingOf, normalised, readEmbeddingRule, type EmbeddingRule } from './texts/embedding.ts';
import { assertTakesText, encodedTexts, openTokenizer, textItem } from './texts/text-run.ts';
import type { TextTokenizer, TokenRow } from './texts/text-tokenizer.ts';

interface Prepared {
  readonly tokenizer: TextTokenizer;
  readonly rule: EmbeddingRule;
  readonly output: EmbeddingSource;
}

/** The output that holds the embeddings: one for each text, or one for each token that have to be pooled. */
interface EmbeddingSource {
  readonly name: string;
  readonly isPooled: boolean;
}

/** Texts in, one vector for each out. */
export const featureExtraction = defineTask<Prepared>({
  assertFits: (_, signatures) => {
    const signature = signatureOfRole(signatures, MODEL);
    assertTakesText(signature);
    embeddingSource(signature);
  },
  prepare: async (modelPackage, signatures) => {
    const rule = await readEmbeddingRule(modelPackage);
    const output = embeddingSource(signatureOfRole(signatures, MODEL));
    if (!output.isPooled) assertPools(rule, modelPackage);
    return { tokenizer: await openTokenizer(modelPackage), rule, output };
  },
  infer: embedTexts,
  close: ({ tokenizer }) => tokenizer.close(),
});

async function embedTexts(call: TaskCall, prepared: Prepared): Promise<TaskAnswer> {
  const { rows, usage } = await encodedTexts(call, prepared.tokenizer, textsOf(call));
  const vectors = await Promise.all(rows.map((row) => vectorOf(call, row, prepared)));
  const size = vectors[0]?.length ?? 0;
  if (vectors.some((vector) => vector.length !== size)) throw failed('it gave vectors of different sizes');
  const data = new Float32Array(vectors.length * size);
  for (const [index, vector] of vectors.entries()) data.set(vector, index * size);
  return { outputs: [{ name: EMBEDDING_OUTPUT, datatype: 'FP32', shape: [vectors.length, size], data }], usage };
}

async function vectorOf(call: TaskCall, { ids }: TokenRow, { output, rule }: Prepared): Promise<Float64Array> {
  const signature = signatureOfRole(call.version.signatures, MODEL);
  const [result] = await runPrepared(call, textItem(signature, ids, [output.name]));
  const vector = output.isPooled
    ? Float64Array.from(numbersOf(result, [1, null]).data)
    : embeddingOf(numbersOf(result, [1, ids.length, null]), rule.pooling);
  return rule.isNormalised ? normalised(vector) : vector;
}

/** Outputs that hold one vector for each text already, by the names that exporters give them. */
const SENTENCE_OUTPUT = 'sentence_embedding';
const POOLER_OUTPUT = 'pooler_output';
const TOKEN_OUTPUTS: readonly string[] = ['last_hidden_state', 'token_embeddings'];

/**
 * Where a model gives its embeddings: `sentence_embedding`; else those of the tokens; else the only output with one vector a text.
 *
 * @throws model.package_invalid when no output can hold them
 */
function embeddingSource({ outputs }: Signature): EmbeddingSource {
  const numbers = outputs.filter(({ datatype }) => datatype === 'FP32' || datatype === 'FP16' || datatype === 'FP64');
  const named = (name: string): SignatureTensor | undefined => numbers.find((output) => output.name === name);
  const ofRank = (rank: number): SignatureTensor[] => numbers.filter(({ dims }) => dims.length === rank);
  const sentence = named(SENTENCE_OUTPUT);
  if (sentence !== undefined) return { name: sentence.name, isPooled: true };
  const tokens = TOKEN_OUTPUTS.map(named).find((output) => output !== undefined) ?? ofRank(3)[0];
  if (tokens !== undefined) return { name: tokens.name, isPooled: false };
  const [pooled, ...others] = ofRank(2);
  const only = named(POOLER_OUTPUT) ?? (others.length === 0 ? pooled : undefined);
  if (only !== undefined) return { name: only.name, isPooled: true };
  throw new AppError('model.package_invalid', {
    message: `The model has no output [texts, size] or [texts, tokens, size] of numbers; it gives ${outputs.map(describeTensor).join(', ')}.`,
  });
}

function assertPools({ pooling }: EmbeddingRule, { weir }: ModelPackage): void {
  if (pooling !== 'none') return;
  const field = weir.embedding === undefined ? '1_Pooling/config.json' : 'weir.json';
  throw new AppError('model.package_invalid', {
    field,
    message: `${field} of the package says no pooling that is known (mean, cls, last-token), and the model gives a vector for each token`,
  });
}
