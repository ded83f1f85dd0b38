import { Injectable } from '@nestjs/common';

/** `degraded`: the process serves, but something behind it is late or stuck. Only `failed` makes it not ready. */
export type CheckState = 'ok' | 'degraded' | 'failed';

export interface CheckResult {
  readonly state: CheckState;
  /** One sentence for an operator, shown by `/health/ready?verbose`. Holds no secret and no tenant. */
  readonly detail?: string;
}

/** True is `ok`, false is `failed`. */
type Check = () => boolean | CheckResult | Promise<boolean | CheckResult>;

/** Longest that one check may take before it counts as failed. */
const CHECK_TIMEOUT_MS = 2_000;

export interface ReadinessReport {
  readonly isReady: boolean;
  /** Is it ready, with a degraded check? */
  readonly isDegraded: boolean;
  /** Result of each check, by name. */
  readonly checks: Readonly<Record<string, CheckResult>>;
}

/** What has to hold before the process takes traffic. Each part of a service adds its own check. */
@Injectable()
export class Readiness {
  readonly #checks = new Map<string, Check>();
  #isDraining = false;

  add(name: string, check: Check): void {
    this.#checks.set(name, check);
  }

  /** Is the process stopping? */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** From now on the process is not ready: it is stopping. */
  drain(): void {
    this.#isDraining = true;
  }

  async report(): Promise<ReadinessReport> {
    const results = await Promise.all([...this.#checks].map(async ([name, check]) => [name, await resultOf(check)] as const));
    if (this.#isDraining) results.push(['serving', { state: 'failed', detail: 'stopping' }]);
    const isReady = results.every(([, { state }]) => state !== 'failed');
    return {
      isReady,
      isDegraded: isReady && results.some(([, { state }]) => state === 'degraded'),
      checks: Object.fromEntries(results),
    };
  }
}

async function resultOf(check: Check): Promise<CheckResult> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<CheckResult>((resolve) => {
    timer = setTimeout(() => resolve({ state: 'failed', detail: `no result within ${CHECK_TIMEOUT_MS} ms` }), CHECK_TIMEOUT_MS);
  });
  try {
    const result = await Promise.race([Promise.resolve(check()), late]);
    return typeof result === 'boolean' ? { state: result ? 'ok' : 'failed' } : result;
  } catch {
    return { state: 'failed' };
  } finally {
    clearTimeout(timer);
  }
}
