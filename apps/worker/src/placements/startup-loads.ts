import type { PlacementReconciler } from './placement-reconciler.ts';

/** A load that takes longer keeps the worker unready no more, in milliseconds. */
const STARTUP_LIMIT_MS = 60_000;
/** Models named in the detail. */
const MAX_NAMED = 5;

export interface StartupLoadsOptions {
  readonly reconciler: Pick<PlacementReconciler, 'isLoading'>;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

/** A version that was placed on the worker when it started. */
export interface StartupVersion {
  readonly versionId: string;
  readonly model: string;
  readonly version: string;
}

export interface StartupCheck {
  readonly state: 'ok' | 'degraded' | 'failed';
  /** One sentence for an operator. */
  readonly detail: string;
}

/** The versions that were placed on the worker when it started: it is ready when they are loaded or have failed, at the latest after 60 s. */
export class StartupLoads {
  readonly #reconciler: StartupLoadsOptions['reconciler'];
  readonly #now: () => number;
  #versions: readonly StartupVersion[] | null = null;
  #limitMs = Infinity;

  constructor({ reconciler, now = () => performance.now() }: StartupLoadsOptions) {
    this.#reconciler = reconciler;
    this.#now = now;
  }

  /** The placements were read to their end for the first time. */
  begin(versions: readonly StartupVersion[]): void {
    if (this.#versions !== null) return;
    this.#versions = versions;
    this.#limitMs = this.#now() + STARTUP_LIMIT_MS;
  }

  /** `failed` while versions of the start are loading; `degraded` when they still are after the limit. The detail is for operators. */
  check(): StartupCheck {
    if (this.#versions === null) return { state: 'failed', detail: 'The placements are not read yet.' };
    const loading = this.#loading();
    const total = this.#versions.length;
    if (loading.length === 0) return { state: 'ok', detail: `${total} of ${total} versions of the start are loaded or have failed.` };
    const named = loading.slice(0, MAX_NAMED).map(({ model, version }) => `${model} ${version}`);
    const others = loading.length > named.length ? ` and ${loading.length - named.length} more` : '';
    const detail = `${loading.length} of ${total} versions of the start are loading: ${named.join(', ')}${others}.`;
    return { state: this.#now() >= this.#limitMs ? 'degraded' : 'failed', detail };
  }

  #loading(): StartupVersion[] {
    return (this.#versions ?? []).filter(({ versionId }) => this.#reconciler.isLoading(versionId));
  }
}
