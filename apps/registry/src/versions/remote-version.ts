import { createHash } from 'node:crypto';
import { nameElsewhere, secretName, serverUrl, taskSchema, type RemoteBackEnd, type Task } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { namesLocalAddress } from '@weir/platform/http';
import { z } from 'zod';
import { displayText, licenceText, paragraphText, tagText } from '../texts.ts';
import { aliasSchema, modelNameSchema, versionNameSchema, visibilities } from './model-version.ts';

const MAX_LABELS = 10_000;

const serverSchema = z
  .object({
    kind: z.enum(['open-inference', 'openai'], 'must be OPEN_INFERENCE or OPENAI'),
    url: serverUrl,
    model: nameElsewhere,
    version: nameElsewhere.nullish(),
    secretName: secretName.nullish(),
  })
  .refine(({ kind, version }) => kind === 'open-inference' || version === undefined || version === null, {
    path: ['version'],
    error: 'is for OPEN_INFERENCE alone',
  })
  .transform(({ kind, url, model, version, secretName: secret }): RemoteBackEnd => {
    const server = { url, model, ...(secret === undefined || secret === null ? {} : { secret }) };
    if (kind === 'openai') return { kind, ...server };
    return { kind, ...server, ...(version === undefined || version === null ? {} : { version }) };
  });

/** A version that another server runs, as it is published: what a package would say of itself is said here. */
export const publishRemoteModelVersionSchema = z.object({
  name: modelNameSchema,
  version: versionNameSchema,
  task: taskSchema,
  backend: serverSchema,
  displayName: displayText.nullish(),
  description: paragraphText.nullish(),
  licence: licenceText.nullish(),
  visibility: z.enum(visibilities),
  tags: z.array(tagText).max(20).nullish(),
  labels: z.array(displayText).max(MAX_LABELS).nullish(),
  alias: aliasSchema.nullish(),
});
export type PublishRemoteModelVersion = z.infer<typeof publishRemoteModelVersionSchema>;

/** What servers of OpenAI's API can do; servers of the Open Inference Protocol are told by their own signature. */
const TASKS_OF_OPENAI: ReadonlySet<Task> = new Set<Task>(['feature-extraction']);

/** @throws request.invalid on `input.task` when such a server cannot do it */
export function assertServerDoes(task: Task, { kind }: RemoteBackEnd): void {
  if (kind === 'openai' && !TASKS_OF_OPENAI.has(task))
    throw new AppError('request.invalid', {
      field: 'input.task',
      message: `input.task: a server of OpenAI's API is called for ${[...TASKS_OF_OPENAI].join(', ')} only.`,
    });
}

/** @throws request.invalid on `input.backend.url` when it names an address that no server of others has: workers would call the platform itself */
export function assertServerElsewhere({ url }: RemoteBackEnd): void {
  if (namesLocalAddress(url))
    throw new AppError('request.invalid', {
      field: 'input.backend.url',
      message: 'input.backend.url: must not be an address of this machine, its link or a metadata service.',
    });
}

/** SHA-256 over what a remote version is: two with the same have the same server, task and labels. */
export function remoteDigest({ task, backend, labels }: Pick<PublishRemoteModelVersion, 'task' | 'backend' | 'labels'>): string {
  const { kind, url, model, secret } = backend;
  const version = kind === 'open-inference' ? backend.version : undefined;
  return createHash('sha256')
    .update(JSON.stringify([task, kind, url, model, version ?? null, secret ?? null, labels ?? []]))
    .digest('hex');
}
