import { Injectable } from '@nestjs/common';

type Check = () => boolean | Promise<boolean>;

/** Longest that one check may take before it counts as failed. */
const CHECK_TIMEOUT_MS = 2_000;

export interface ReadinessReport {
  readonly isReady: boolean;
  /** Verdict of each check, by name. */
  readonly checks: Readonly<Record<string, boolean>>;
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
    const verdicts = await Promise.all([...this.#checks].map(async ([name, check]) => [name, await passes(check)] as const));
    if (this.#isDraining) verdicts.push(['serving', false]);
    return { isReady: verdicts.every(([, verdict]) => verdict), checks: Object.fromEntries(verdicts) };
  }
}

async function passes(check: Check): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), CHECK_TIMEOUT_MS);
  });
  try {
    return await Promise.race([Promise.resolve(check()), late]);
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}
