/** A process that was called a moment ago is not stopped: starting it again costs about a second. */
const MIN_IDLE_MS = 2_000;

/** A serving process as far as its slot is concerned. */
export interface RunningProcess {
  readonly key: string;
  /** The trust class whose models it runs. */
  readonly trustClass: string;
  /** Calls are in progress in it, or it starts, or loads a model. */
  readonly isBusy: boolean;
  /** Milliseconds since its last call. */
  readonly idleMs: number;
}

export interface ProcessLimits {
  readonly maxProcesses: number;
  /** Most processes of one trust class other than the reserved one: one for its models, more for models that crashed. */
  readonly maxOfTrustClass: number;
  /** The trust class of public models: a slot is kept free for its process, which is not stopped for others. */
  readonly reserved: string;
}

/** Precondition for the start of another process; `full`: it may not start now. */
export type SlotDecision = { readonly kind: 'free' } | { readonly kind: 'stop'; readonly key: string } | { readonly kind: 'full' };

/** The slot for another process of a trust class: a free one, or that of the process that was not used for longest. */
export function slotFor(trustClass: string, running: readonly RunningProcess[], limits: ProcessLimits): SlotDecision {
  const { maxProcesses, maxOfTrustClass, reserved } = limits;
  const isReserved = trustClass === reserved;
  const own = running.filter((process) => process.trustClass === trustClass);
  if (!isReserved && own.length >= maxOfTrustClass) return stopLongestIdle(own);
  const keptFree = isReserved || running.some((process) => process.trustClass === reserved) ? 0 : 1;
  if (running.length < Math.max(1, maxProcesses - keptFree)) return { kind: 'free' };
  const decision = stopLongestIdle(running.filter((process) => process.trustClass !== reserved));
  return decision.kind === 'full' && isReserved ? stopLongestIdle(own) : decision;
}

function stopLongestIdle(candidates: readonly RunningProcess[]): SlotDecision {
  const [longest] = candidates.filter(({ isBusy, idleMs }) => !isBusy && idleMs >= MIN_IDLE_MS).toSorted((a, b) => b.idleMs - a.idleMs);
  return longest === undefined ? { kind: 'full' } : { kind: 'stop', key: longest.key };
}
