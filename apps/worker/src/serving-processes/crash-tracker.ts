import { AppError } from '@weir/kernel';
import type { CallRestriction } from '../serving/control-messages.ts';
import type { Flight } from '../serving/versions/flight-record.ts';

const MINUTE_MS = 60_000;
/** First and longest duration of a refusal, a probation or a quarantine; each further crash doubles it. */
const FIRST_BACK_OFF_MS = MINUTE_MS;
const LAST_BACK_OFF_MS = 60 * MINUTE_MS;
/** Without a crash for so long after its back-off, a caller begins with the first back-off again. */
const FORGET_MS = 60 * MINUTE_MS;
/** Crashes in a row while a version is loaded that quarantine it. */
const MAX_LOAD_CRASHES = 3;
/** Shape classes of a tenant that crashed a version before all its calls of the version are refused. */
const MAX_SHAPE_CLASSES = 2;
/** A run of so many elements can exhaust the memory of its process; a smaller one must be running in several such crashes. */
const LARGE_ELEMENTS = 65_536;
const MAX_UNEXPLAINED = 3;

/**
 * How a process was lost. `fault`: an instruction failed (SIGSEGV, SIGBUS, SIGFPE), so a run or load in progress is the cause.
 * `hang`: a run or load exceeded its limit. `killed`: everything else, such as an abort for lack of memory, which any thread can meet.
 */
export type CrashKind = 'fault' | 'hang' | 'killed';

/** The end of a process and what was in progress. */
export interface Crash {
  readonly kind: CrashKind;
  readonly running: readonly Flight[];
  /** Was the version loaded successfully before? Then its load is not suspected while others were running. */
  readonly isProven: (versionId: string) => boolean;
}

/** A version that is not loaded for now. */
export interface Quarantine {
  readonly untilMs: number;
  readonly crashes: number;
}

interface CallerRecord {
  readonly versionId: string;
  readonly tenantId: string;
  readonly shapeClasses: Set<string>;
  crashes: number;
  /** Number of the last of them. */
  lastCrash: number;
  untilMs: number;
}

interface Probation {
  readonly versionId: string;
  readonly tenantId: string;
  readonly untilMs: number;
  /** Crashes that several callers can have caused, this one among them. */
  readonly suspicions: number;
  /** Number of the last of them. */
  readonly crash: number;
  /** Crashes for an unknown reason in which these calls ran alone. */
  readonly unexplained: number;
}

/**
 * Attributes crashes of serving processes and decides on their consequences.
 *
 * - Calls: the tenant's calls of the version and shape class are refused for a growing back-off, after a second shape class all
 *   its calls of the version. Others go on calling the version: no caller can make it unavailable to others.
 * - Several callers in progress: none is refused; each runs alone for a growing time, so that the next crash has one possible
 *   cause. The others are cleared when that is one of them.
 * - Loads: the version gets a process of its own; after three crashes in a row it is quarantined for a growing back-off.
 * - Calls of two tenants crash a version independently: it gets a process of its own too.
 */
export class CrashTracker {
  readonly #callers = new Map<string, CallerRecord>();
  readonly #probations = new Map<string, Probation>();
  readonly #loads = new Map<string, Quarantine>();
  readonly #isolated = new Set<string>();
  #crashCount = 0;

  /** A process ended by itself, or has to be ended. */
  crashed({ kind, running, isProven }: Crash, nowMs: number): void {
    this.#forgetOld(nowMs);
    this.#crashCount++;
    const calls = running.filter((flight) => flight.tenantId !== null);
    const loads = distinct(running.filter((flight) => flight.tenantId === null).map(({ versionId }) => versionId));
    const suspectedLoads = calls.length > 0 ? loads.filter((versionId) => !isProven(versionId)) : loads;
    for (const versionId of suspectedLoads) this.#isolated.add(versionId);
    const [load, ...otherLoads] = suspectedLoads;
    if (load !== undefined && otherLoads.length === 0 && calls.length === 0) this.#loadCrashed(load, nowMs);
    else this.#callsCrashed(kind, calls, suspectedLoads.length > 0, nowMs);
  }

  /** The version was loaded: earlier crashes of its load no longer count. */
  loaded(versionId: string): void {
    this.#loads.delete(versionId);
  }

  /** Must it have a process of its own? */
  isIsolated(versionId: string): boolean {
    return this.#isolated.has(versionId);
  }

  /** Until when the version is not loaded; null when it may be. */
  quarantineOf(versionId: string, nowMs: number): Quarantine | null {
    const quarantine = this.#loads.get(versionId);
    return quarantine !== undefined && nowMs < quarantine.untilMs ? quarantine : null;
  }

  /** All that is in force. */
  restrictions(nowMs: number): CallRestriction[] {
    this.#forgetOld(nowMs);
    const restrictions: CallRestriction[] = [];
    for (const { versionId, tenantId, shapeClasses, untilMs } of this.#callers.values()) {
      // A caller that crashed the version goes on running alone, so that another crash has one possible cause.
      restrictions.push({ versionId, tenantId, shapeClass: null, refusedForMs: null });
      if (nowMs >= untilMs) continue;
      const refused = shapeClasses.size >= MAX_SHAPE_CLASSES ? [null] : shapeClasses;
      for (const shapeClass of refused) restrictions.push({ versionId, tenantId, shapeClass, refusedForMs: untilMs - nowMs });
    }
    for (const { versionId, tenantId, untilMs } of this.#probations.values())
      if (nowMs < untilMs) restrictions.push({ versionId, tenantId, shapeClass: null, refusedForMs: null });
    return restrictions;
  }

  /** Forgets all about a version that is placed here no longer. */
  forget(versionId: string): void {
    this.revive(versionId);
    this.#isolated.delete(versionId);
  }

  /** Ends quarantine and refusals because an operator asks for it. A process of its own stays: the next crash hurts no neighbour. */
  revive(versionId: string): void {
    this.#loads.delete(versionId);
    for (const records of [this.#callers, this.#probations])
      for (const [key, record] of records) if (record.versionId === versionId) records.delete(key);
  }

  #loadCrashed(versionId: string, nowMs: number): void {
    const crashes = (this.#loads.get(versionId)?.crashes ?? 0) + 1;
    this.#loads.set(versionId, { crashes, untilMs: nowMs + (crashes < MAX_LOAD_CRASHES ? 0 : backOffMs(crashes - MAX_LOAD_CRASHES)) });
  }

  #callsCrashed(kind: CrashKind, calls: readonly Flight[], isLoadSuspected: boolean, nowMs: number): void {
    const large = kind === 'killed' ? calls.filter(({ elements }) => elements >= LARGE_ELEMENTS) : [];
    const [largest] = large.toSorted((a, b) => b.elements - a.elements);
    if (largest !== undefined) return this.#blame(largest, nowMs);
    const callers = new Map(calls.map((flight) => [callerKey(flight), flight]));
    const [only] = callers.values();
    const isSole = only !== undefined && callers.size === 1 && !isLoadSuspected;
    const unexplained = isSole ? (this.#probations.get(callerKey(only))?.unexplained ?? 0) + 1 : 0;
    if (isSole && (kind !== 'killed' || unexplained >= MAX_UNEXPLAINED)) for (const flight of calls) this.#blame(flight, nowMs);
    else for (const flight of callers.values()) this.#suspect(flight, unexplained, nowMs);
  }

  #blame(flight: Flight, nowMs: number): void {
    const { versionId, tenantId, shapeClass } = flight;
    if (tenantId === null) return;
    const probation = this.#probations.get(callerKey(flight));
    for (const [key, { crash }] of this.#probations) if (crash === probation?.crash) this.#probations.delete(key);
    const key = callerKey(flight);
    const record = this.#callers.get(key) ?? { versionId, tenantId, shapeClasses: new Set<string>(), crashes: 0, lastCrash: 0, untilMs: 0 };
    this.#callers.set(key, record);
    record.shapeClasses.add(shapeClass);
    if (record.lastCrash !== this.#crashCount) record.untilMs = nowMs + backOffMs(record.crashes++);
    record.lastCrash = this.#crashCount;
    if ([...this.#callers.values()].filter((one) => one.versionId === versionId).length > 1) this.#isolated.add(versionId);
  }

  #suspect(flight: Flight, unexplained: number, nowMs: number): void {
    const { versionId, tenantId } = flight;
    if (tenantId === null) return;
    const before = this.#probations.get(callerKey(flight));
    const suspicions = (before?.suspicions ?? 0) + 1;
    this.#probations.set(callerKey(flight), {
      versionId,
      tenantId,
      untilMs: nowMs + backOffMs(suspicions - 1),
      suspicions,
      crash: this.#crashCount,
      unexplained: Math.max(unexplained, before?.unexplained ?? 0),
    });
  }

  #forgetOld(nowMs: number): void {
    for (const records of [this.#callers, this.#probations])
      for (const [key, { untilMs }] of records) if (nowMs >= untilMs + FORGET_MS) records.delete(key);
  }
}

/** The error of calls and loads of a version in quarantine. */
export function quarantineError({ crashes, untilMs }: Quarantine, nowMs: number): AppError {
  const until = new Date(untilMs).toISOString();
  return new AppError('model.quarantined', {
    message: `The model crashed or hung the process that loaded it ${crashes} times in a row. It is loaded again at ${until}.`,
    retryAfterMs: untilMs - nowMs,
  });
}

/** 1, 2, 4 … 60 minutes. */
function backOffMs(crashesBefore: number): number {
  return Math.min(LAST_BACK_OFF_MS, FIRST_BACK_OFF_MS * 2 ** crashesBefore);
}

function callerKey({ versionId, tenantId }: Flight): string {
  return JSON.stringify([versionId, tenantId]);
}

function distinct(values: readonly string[]): string[] {
  return [...new Set(values)];
}
