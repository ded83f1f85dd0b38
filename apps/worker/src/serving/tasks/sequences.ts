import { AppError } from '@weir/kernel';
import { sequenceId } from '@weir/open-inference';
import type { SequenceState } from './task.ts';

const MAX_ID_CHARACTERS = 128;
/** What a sequence takes beside its numbers, roughly. */
const ENTRY_BYTES = 1_024;

/** A caller is routed to the process that continues a sequence within about this time. */
const MOVED_RETRY_MS = 1_000;

/** What a request says of the sequence of calls that it belongs to, in Triton's parameters. */
export interface SequenceCall {
  readonly id: string;
  /** It begins without a state, whatever there was before. */
  readonly isStart: boolean;
  /** Its state is let go when it is answered. */
  readonly isEnd: boolean;
}

/**
 * The sequence of a request by `sequence_id`, `sequence_start` and `sequence_end`; null when it names none (0 and '' are none).
 *
 * @throws model.input_invalid naming the parameter that is wrong
 */
export function sequenceOf(parameters: Readonly<Record<string, unknown>>): SequenceCall | null {
  const given = parameters['sequence_id'] ?? undefined;
  const isName = typeof given === 'string' ? given.length <= MAX_ID_CHARACTERS : Number.isSafeInteger(given);
  if (given !== undefined && !isName)
    throw new AppError('model.input_invalid', {
      field: 'parameters.sequence_id',
      message: `parameters.sequence_id must be a whole number up to 2^53, or a text of at most ${MAX_ID_CHARACTERS} characters`,
    });
  const isStart = flag(parameters, 'sequence_start');
  const isEnd = flag(parameters, 'sequence_end');
  const id = sequenceId(given);
  return id === undefined ? null : { id, isStart, isEnd };
}

function flag(parameters: Readonly<Record<string, unknown>>, name: string): boolean {
  const value = parameters[name] ?? false;
  if (typeof value === 'boolean') return value;
  throw new AppError('model.input_invalid', { field: `parameters.${name}`, message: `parameters.${name} must be true or false` });
}

/** Whose sequence it is; the tenant is that of the verified token, never of the request. */
export interface SequenceOwner {
  readonly tenantId: string;
  readonly versionId: string;
}

export interface SequenceStoreOptions {
  readonly maxSequences: number;
  /** Of all states together. */
  readonly maxBytes: number;
  /** A sequence that had no call for so long is let go, in milliseconds. */
  readonly idleMs: number;
  /** Calls of one sequence that may wait for the one before them. */
  readonly maxWaiting: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

/** A sequence on its way to the process that continues it. */
export interface MovedSequence extends SequenceOwner {
  readonly id: string;
  readonly state: SequenceState;
  /** Milliseconds since its last call. */
  readonly idleMs: number;
}

interface KeptSequence extends SequenceOwner {
  readonly id: string;
  readonly state: SequenceState;
  readonly bytes: number;
  readonly usedAtMs: number;
}

/**
 * The states of the sequences that are under way.
 *
 * One call of a sequence runs at a time, in the order in which they came. When there are too many sequences or bytes, the tenant that
 * holds most loses the one that it used least recently: nobody's sequences push out those of a tenant that holds less.
 */
export class SequenceStore {
  readonly #options: SequenceStoreOptions;
  readonly #now: () => number;
  /** By key, least recently used first. */
  readonly #kept = new Map<string, KeptSequence>();
  readonly #heldBytes = new Map<string, number>();
  #bytes = 0;
  /** Keys with a call under way, and what waits behind it. */
  readonly #underWay = new Map<string, Set<() => void>>();
  /** Versions whose sequences another process continues. */
  readonly #exported = new Set<string>();
  /** Called when no call of some sequence is left. */
  readonly #onIdle = new Set<() => void>();

  constructor(options: SequenceStoreOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  get size(): number {
    return this.#kept.size;
  }

  /** Of all states. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Does the work of one call with the state of its sequence. What the work puts into the state is kept when it succeeds; when it fails
   * the sequence stays as it was, so that the call can be sent again.
   *
   * @param work puts new tensors in the place of old ones; it does not write into them
   * @throws sequence.lost the sequence is unknown, or was let go, and the call is not its first
   * @throws sequence.busy too many calls of it wait already
   * @throws worker.overloaded the sequence is being moved to another process
   * @throws the signal's reason when it is aborted while the call waits
   */
  async use<T>(owner: SequenceOwner, call: SequenceCall, signal: AbortSignal, work: (state: SequenceState) => Promise<T>): Promise<T> {
    const key = keyOf(owner, call.id);
    this.#assertNotExported(owner);
    await this.#begin(key, signal);
    try {
      this.#assertNotExported(owner);
      this.#letGoIdle(key);
      const kept = this.#kept.get(key);
      if (kept === undefined && !call.isStart) throw new AppError('sequence.lost');
      const before = call.isStart ? undefined : kept?.state;
      const state: SequenceState = { tensors: new Map(before?.tensors), memory: new Map(before?.memory) };
      const answer = await work(state);
      this.#remove(key);
      if (!call.isEnd) this.#keep(key, { ...owner, id: call.id, state, bytes: bytesOf(state), usedAtMs: this.#now() });
      return answer;
    } finally {
      this.#end(key);
    }
  }

  /**
   * The sequences of a version, for another process; from now on this one takes no calls of them. Waits for the calls in
   * progress; a sequence whose call takes longer than `timeoutMs` is left out.
   */
  async exportAll(versionId: string, timeoutMs: number): Promise<MovedSequence[]> {
    this.#exported.add(versionId);
    const isBusy = (): boolean => [...this.#underWay.keys()].some((key) => versionOf(key) === versionId);
    const idle = Promise.withResolvers<void>();
    const timer = setTimeout(idle.resolve, timeoutMs);
    const check = (): void => {
      if (!isBusy()) idle.resolve();
    };
    this.#onIdle.add(check);
    check();
    await idle.promise;
    clearTimeout(timer);
    this.#onIdle.delete(check);
    const now = this.#now();
    const kept = [...this.#kept].filter(([key, sequence]) => sequence.versionId === versionId && !this.#underWay.has(key));
    const moved = kept.map(([, { tenantId, id, state, usedAtMs }]) => ({ tenantId, versionId, id, state, idleMs: now - usedAtMs }));
    this.forget(versionId);
    return moved;
  }

  /** Continues sequences of another process; least recently used first, as `exportAll` gives them. */
  importAll(sequences: readonly MovedSequence[]): void {
    for (const { tenantId, versionId, id, state, idleMs } of sequences)
      this.#keep(keyOf({ tenantId, versionId }, id), {
        tenantId,
        versionId,
        id,
        state,
        bytes: bytesOf(state),
        usedAtMs: this.#now() - idleMs,
      });
  }

  /** Lets go the sequences of a version that is served no longer. */
  forget(versionId: string): void {
    for (const [key, kept] of this.#kept) if (kept.versionId === versionId) this.#remove(key);
  }

  /** Waits until no other call of the sequence is under way. */
  async #begin(key: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const waiting = this.#underWay.get(key);
    if (waiting === undefined) {
      this.#underWay.set(key, new Set());
      return;
    }
    if (waiting.size >= this.#options.maxWaiting) throw new AppError('sequence.busy');
    await new Promise<void>((resolve, reject) => {
      const giveUp = (): void => {
        waiting.delete(start);
        reject(signal.reason);
      };
      const start = (): void => {
        signal.removeEventListener('abort', giveUp);
        resolve();
      };
      waiting.add(start);
      signal.addEventListener('abort', giveUp, { once: true });
    });
  }

  #end(key: string): void {
    const waiting = this.#underWay.get(key);
    const [next] = waiting ?? [];
    if (waiting === undefined || next === undefined) {
      this.#underWay.delete(key);
      for (const check of this.#onIdle) check();
      return;
    }
    waiting.delete(next);
    next();
  }

  /** A gateway hands this error on as it is; `model.not_ready` would count as a lost worker, and the sequence as lost with it. */
  #assertNotExported({ versionId }: SequenceOwner): void {
    if (this.#exported.has(versionId))
      throw new AppError('worker.overloaded', { message: 'The sequence is being moved to another process.', retryAfterMs: MOVED_RETRY_MS });
  }

  #keep(key: string, sequence: KeptSequence): void {
    const { maxBytes, maxSequences } = this.#options;
    if (sequence.bytes > maxBytes)
      throw new AppError('model.failed', {
        message: `The model's state takes ${sequence.bytes} bytes; a worker keeps ${maxBytes} at most.`,
      });
    this.#kept.set(key, sequence);
    this.#count(sequence, 1);
    while (this.#kept.size > maxSequences || this.#bytes > maxBytes) this.#letGoOne();
  }

  /** The least recently used sequence of the tenant that holds most. */
  #letGoOne(): void {
    const [tenantId] = [...this.#heldBytes].reduce((most, each) => (each[1] > most[1] ? each : most));
    for (const [key, kept] of this.#kept) if (kept.tenantId === tenantId) return this.#remove(key);
  }

  /** What nobody has used for too long; a call that is under way has come in time, unless it is `mine`, which looks for its state now. */
  #letGoIdle(mine: string): void {
    const limit = this.#now() - this.#options.idleMs;
    for (const [key, { usedAtMs }] of this.#kept) {
      if (usedAtMs > limit) return;
      if (key === mine || !this.#underWay.has(key)) this.#remove(key);
    }
  }

  #remove(key: string): void {
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    this.#kept.delete(key);
    this.#count(kept, -1);
  }

  #count({ tenantId, bytes }: KeptSequence, sign: 1 | -1): void {
    this.#bytes += sign * bytes;
    const held = (this.#heldBytes.get(tenantId) ?? 0) + sign * bytes;
    if (held === 0) this.#heldBytes.delete(tenantId);
    else this.#heldBytes.set(tenantId, held);
  }
}

function keyOf({ tenantId, versionId }: SequenceOwner, id: string): string {
  return JSON.stringify([tenantId, versionId, id]);
}

function versionOf(key: string): unknown {
  return (JSON.parse(key) as unknown[])[1];
}

function bytesOf({ tensors, memory }: SequenceState): number {
  let bytes = ENTRY_BYTES;
  for (const { data } of tensors.values()) {
    if (!Array.isArray(data)) bytes += data.byteLength;
    else for (const element of data) bytes += element.length * 2;
  }
  for (const numbers of memory.values()) bytes += numbers.byteLength;
  return bytes;
}
