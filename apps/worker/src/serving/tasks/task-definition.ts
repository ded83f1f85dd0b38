import type { ModelPackage } from '../model-package/model-package.ts';
import type { Signature } from './signature.ts';
import type { PreparedTask, TaskAnswer, TaskCall } from './task.ts';

/** What one task is: whether a package can do it, what is made of the package once, and how a call is answered. */
export interface TaskRules<Prepared> {
  /**
   * Can the networks do what the task needs?
   *
   * @param signatures of the package's networks, by role
   * @throws model.package_invalid naming what does not fit
   */
  assertFits(modelPackage: ModelPackage, signatures: ReadonlyMap<string, Signature>): void;
  /**
   * Reads what every call needs (a tokenizer, a list of items), once for each loaded version.
   *
   * @throws model.package_invalid naming the file that is missing or wrong
   */
  prepare(modelPackage: ModelPackage, signatures: ReadonlyMap<string, Signature>): Prepared | Promise<Prepared>;
  /**
   * Answers a call with one of the task's processed inputs.
   *
   * @throws model.input_invalid naming the field of the request, what is expected and what came
   * @throws model.failed when a network gives something else than the task needs
   */
  infer(call: TaskCall, prepared: Prepared): Promise<TaskAnswer>;
  /** Gives back what `prepare` took, where that is more than memory. */
  close?(prepared: Prepared): Promise<void>;
}

/** A task of the table. */
export interface TaskDefinition {
  assertFits(modelPackage: ModelPackage, signatures: ReadonlyMap<string, Signature>): void;
  prepare(modelPackage: ModelPackage, signatures: ReadonlyMap<string, Signature>): Promise<PreparedTask>;
}

/** Keeps what a task prepares beside the version it was prepared for. */
export function defineTask<Prepared>(rules: TaskRules<Prepared>): TaskDefinition {
  return {
    assertFits: (modelPackage, signatures) => rules.assertFits(modelPackage, signatures),
    prepare: async (modelPackage, signatures) => {
      const prepared = await rules.prepare(modelPackage, signatures);
      return { infer: (call) => rules.infer(call, prepared), close: async () => rules.close?.(prepared) };
    },
  };
}
