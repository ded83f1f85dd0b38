import type { DeploymentState } from '@weir/contracts';

/** Deployments by what callers write: the model's name and an alias of it. */
export class DeploymentIndex {
  /** Several only when a private model has the name of another tenant's. */
  readonly #byName = new Map<string, readonly DeploymentState[]>();
  readonly #byKey = new Map<string, DeploymentState>();

  /** @param recordKey key of the deployment on its topic */
  apply(recordKey: string, deployment: DeploymentState | undefined): void {
    const before = this.#byKey.get(recordKey);
    if (before !== undefined) this.#set(nameOf(before), (others) => others.filter((other) => other !== before));
    if (deployment === undefined) {
      this.#byKey.delete(recordKey);
      return;
    }
    this.#byKey.set(recordKey, deployment);
    this.#set(nameOf(deployment), (others) => [...others, deployment]);
  }

  /** What a tenant means by the name: its own model, or a public one. Another tenant's private model is not there. */
  find(model: string, alias: string, tenantId: string): DeploymentState | undefined {
    const found = this.#byName.get(`${model}\n${alias}`);
    if (found === undefined) return undefined;
    return (
      found.find((deployment) => deployment.ownerTenantId === tenantId) ?? found.find((deployment) => deployment.visibility === 'public')
    );
  }

  all(): IterableIterator<DeploymentState> {
    return this.#byKey.values();
  }

  #set(name: string, change: (others: readonly DeploymentState[]) => readonly DeploymentState[]): void {
    const next = change(this.#byName.get(name) ?? []);
    if (next.length === 0) this.#byName.delete(name);
    else this.#byName.set(name, next);
  }
}

function nameOf(deployment: DeploymentState): string {
  return `${deployment.model}\n${deployment.alias}`;
}
