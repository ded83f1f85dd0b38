import { z } from 'zod';
import { backEndSchema } from './back-ends.ts';
import { defineEvent } from './envelope.ts';
import { id, modelName, sha256 } from './fields.ts';
import { packagePath, taskSchema } from './model-package.ts';

export const packageFileSchema = z.object({
  /** Path inside the package, `/` between parts, no `..`. */
  path: packagePath,
  sha256,
  sizeBytes: z.number().int().nonnegative(),
});
/** One file of a model package, by its content. */
export type PackageFile = z.infer<typeof packageFileSchema>;

const visibilitySchema = z.enum(['public', 'private']);

export const deploymentSchema = z.object({
  modelId: id,
  model: modelName,
  /** The tenant that published it. */
  ownerTenantId: id,
  /** `public`: every tenant whose plan covers it may call it; `private`: only its owner. */
  visibility: visibilitySchema,
  task: taskSchema,
  alias: z.string(),
  versionId: id,
  version: z.string(),
});
/** Where an alias of a model points. */
export type DeploymentState = z.infer<typeof deploymentSchema>;

/** The deployment as it is now; a tombstone when it was withdrawn. */
export const deploymentChanged = defineEvent({
  type: 'registry.deployment.changed.v1',
  topic: 'registry.deployments',
  schema: deploymentSchema,
  key: (deployment) => `${deployment.modelId}:${deployment.alias}`,
});

export const placementSchema = z.object({
  workerId: z.string().min(1).max(100),
  versionId: id,
  modelId: id,
  model: modelName,
  version: z.string(),
  ownerTenantId: id,
  /**
   * Of the model: the worker refuses calls of a private version by other tenants. Absent in placements of registries that did not
   * announce it; the worker then leaves the check to the gateway. A registry announces all of its placements when it starts.
   */
  visibility: visibilitySchema.optional(),
  task: taskSchema,
  /** None where another server runs the version. */
  files: z.array(packageFileSchema).max(1000),
  /**
   * What runs the version; without it the worker itself (`onnxruntime`). Of a version that another server runs: where that
   * is (`url`), how it names the model (`model`, `version`), and which of the worker's secrets it asks for (`secret`).
   */
  backend: backEndSchema.optional(),
  /** Where the worker fetches the files: `<artifactsUrl>/<sha256>`, with its internal token. */
  artifactsUrl: z.url(),
});
/** A version that a worker is to have loaded. */
export type PlacementState = z.infer<typeof placementSchema>;

/** The placement as it is now; a tombstone when the worker is to unload the version. */
export const placementChanged = defineEvent({
  type: 'registry.placement.changed.v1',
  topic: 'registry.placements',
  schema: placementSchema,
  key: (placement) => `${placement.workerId}:${placement.versionId}`,
});
