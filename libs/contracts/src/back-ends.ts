import { z } from 'zod';

/**
 * What runs a version. `onnxruntime`: a worker itself, from the version's files. `open-inference`: a server that speaks
 * the Open Inference Protocol v2 (Triton, KServe, MLServer). `openai`: a server that speaks OpenAI's API.
 */
export const backEndKindSchema = z.enum(['onnxruntime', 'open-inference', 'openai']);
export type BackEndKind = z.infer<typeof backEndKindSchema>;

/** Address of another server: HTTP, without credentials, query or fragment. */
export const serverUrl = z
  .url({ protocol: /^https?$/, error: 'must be an http or https address' })
  .max(2_000)
  .refine((text) => {
    if (!URL.canParse(text)) return false;
    const { username, password, search, hash } = new URL(text);
    return username === '' && password === '' && search === '' && hash === '';
  }, 'must have no credentials, query or fragment: name a secret instead');

/** Name of a secret that workers are given as a file; never the secret itself. */
export const secretName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'must be 1 to 63 lower-case letters, digits, ".", "_" and "-", beginning with a letter or digit');

/** Name of a model, or of its version, as another server knows it. */
export const nameElsewhere = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\p{Cc}]*$/u, 'must not contain control characters');

const remote = {
  /** Where the server is: what stands before `/v2`, or the base address that OpenAI's clients are given (it ends in `/v1` mostly). */
  url: serverUrl,
  /** The model as that server names it. */
  model: nameElsewhere,
  /** The secret that is sent as `Authorization: Bearer`, by its name. */
  secret: secretName.optional(),
};

export const remoteBackEndSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('open-inference'),
    ...remote,
    /** The model's version there; without it the server chooses. */
    version: nameElsewhere.optional(),
  }),
  z.object({ kind: z.literal('openai'), ...remote }),
]);
/** A version that another server runs. */
export type RemoteBackEnd = z.infer<typeof remoteBackEndSchema>;

export const backEndSchema = z.discriminatedUnion('kind', [z.object({ kind: z.literal('onnxruntime') }), ...remoteBackEndSchema.options]);
/** What runs a version, and where. */
export type BackEnd = z.infer<typeof backEndSchema>;
