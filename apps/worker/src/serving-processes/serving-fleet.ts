import { setTimeout as sleep } from 'node:timers/promises';
import { PLATFORM_TENANT_ID } from '@weir/access';
import { AppError, toAppError } from '@weir/kernel';
import type { Logger } from '@weir/platform/telemetry';
import type { PlacedVersion, ServingSettings } from '../serving/control-messages.ts';
import { evictions } from './memory-budget.ts';
import { slotFor } from './process-slots.ts';
import { ServingGroup, type GroupVersion } from './serving-group.ts';
import { Suspects } from './suspects.ts';
import { trustClassOf, type TrustClasses } from './trust-class.ts';

/** A process may need this much beside the models in it. */
const PROCESS_BASE_BYTES = 1_073_741_824;
/** Longest wait for others to become idle, and how often to look: serving processes say every second what is in use. */
const ROOM_PATIENCE_MS = 5_000;
const ROOM_RETRY_MS = 250;
/** Longest wait of a call for a slot for the process of its version, which was stopped. */
const SLOT_PATIENCE_MS = 10_000;
/** What the calls of a process that is replaced get to finish. */
const REPLACED_DRAIN_MS = 5_000;
/** Memory of a process that nothing accounts for, before the process is replaced: ONNX Runtime leaks where sessions come and go. */
const UNACCOUNTED_FACTOR = 1.5;
const UNACCOUNTED_BYTES = 512 * 1_048_576;
/** A process that is stopped takes calls for this long after the announcement that they go elsewhere. */
const STOP_GRACE_MS = 1_000;
/** Time for the calls that it took meanwhile; without any it ends at once. */
const STOP_DRAIN_MS = 60_000;
/** How often it looks for what is idle or leaks. */
const WATCH_MS = 10_000;
const LEAST_WATCH_MS = 1_000;

export interface ServingFleetOptions {
  readonly settings: (flightFile: string) => ServingSettings;
  readonly flightDirectory: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly trustClasses: TrustClasses;
  /** Bytes that models may take in all processes together. */
  readonly memoryBytes: number;
  readonly maxProcesses: number;
  /** Most processes of one trust class, that of public models excepted. */
  readonly maxTenantProcesses: number;
  /** A version that was not called for so long leaves memory until it is called; 0: none does. */
  readonly idleUnloadMs: number;
  readonly urlOf: (port: number) => string;
  readonly logger: Logger;
  readonly now: () => number;
}

/** A version as the gateway may know it. */
export type ServedState =
  | { readonly state: 'ready'; readonly url: string; readonly memoryBytes?: number }
  | { readonly state: 'loading'; readonly error?: string }
  | { readonly state: 'failed'; readonly error: string };

interface Placed {
  readonly version: PlacedVersion;
  readonly ownerTenantId: string;
  readonly bytes: number;
  /** Was it ever loaded, so that it is known to work? */
  isProven: boolean;
  /** Most memory that loading it took, as measured; null before the first time. */
  measuredBytes: number | null;
}

/** All serving processes of a worker: who is where, what is in memory, and what happens when a process ends. */
export class ServingFleet {
  readonly #options: ServingFleetOptions;
  readonly #placed = new Map<string, Placed>();
  readonly #groups = new Map<string, ServingGroup>();
  /** Processes that go on taking calls until those that replace them are ready. */
  readonly #retiring = new Set<ServingGroup>();
  /** Processes that take no more calls and have not ended yet. */
  readonly #ending = new Set<ServingGroup>();
  readonly #suspects = new Suspects();
  /** Loads that are under way, by version: nobody asks twice. */
  readonly #loads = new Map<string, Promise<void>>();
  readonly #watch: NodeJS.Timeout;
  #onChange: () => void = () => undefined;
  #activatorUrl: string | null = null;
  #isClosed = false;

  constructor(options: ServingFleetOptions) {
    this.#options = options;
    this.#watch = setInterval(
      () => {
        this.#unloadIdle();
        this.#replaceLeaking();
      },
      Math.min(WATCH_MS, Math.max(LEAST_WATCH_MS, options.idleUnloadMs || WATCH_MS)),
    );
    this.#watch.unref();
  }

  /** Called whenever `stateOf` may answer otherwise. */
  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  /** Where calls of versions whose process was stopped go. */
  setActivatorUrl(url: string): void {
    this.#activatorUrl = url;
  }

  /**
   * Takes calls for a version and brings it into memory once, so that it is known to work.
   *
   * @param bytes memory that its files tell of
   * @throws AppError of a retryable kind when trying again can help, of another when the package is at fault
   */
  async place(version: PlacedVersion, ownerTenantId: string, bytes: number): Promise<void> {
    if (bytes > this.#options.memoryBytes)
      throw new AppError('model.package_invalid', {
        message: `The package needs ${bytes} bytes of memory; the worker has ${this.#options.memoryBytes} in all.`,
      });
    const placed: Placed = { version, ownerTenantId, bytes, isProven: false, measuredBytes: null };
    this.#placed.set(version.versionId, placed);
    const member = this.#join(placed);
    try {
      await this.#load(member);
    } catch (error) {
      if (this.#suspects.isGivenUp(version.versionId)) throw this.#givenUp();
      await this.remove(version.versionId, { isForgiven: false });
      throw error;
    }
  }

  /** Takes no more calls for a version, and frees its memory. */
  async remove(versionId: string, { isForgiven = true }: { isForgiven?: boolean } = {}): Promise<void> {
    this.#placed.delete(versionId);
    if (isForgiven) this.#suspects.forget(versionId);
    const group = this.#groupOf(versionId);
    await group?.remove(versionId);
    if (group !== undefined && group.versions().length === 0) await this.#end(group);
  }

  stateOf(versionId: string): ServedState {
    if (this.#suspects.isGivenUp(versionId)) return { state: 'failed', error: this.#givenUp().message };
    const group = this.#groupOf(versionId);
    const version = group?.get(versionId);
    const { isProven, measuredBytes } = this.#placed.get(versionId) ?? { isProven: false, measuredBytes: null };
    const measured = measuredBytes === null ? {} : { memoryBytes: measuredBytes };
    if (version?.state !== 'in-memory') {
      for (const retiring of this.#retiring)
        if (retiring.url !== null && retiring.get(versionId) !== undefined) return { state: 'ready', url: retiring.url, ...measured };
    }
    if (group === undefined && isProven && this.#activatorUrl !== null) return { state: 'ready', url: this.#activatorUrl, ...measured };
    if (group?.url === null || group?.url === undefined || version?.isProven !== true) return { state: 'loading' };
    return { state: 'ready', url: group.url, ...measured };
  }

  /** Proven versions without a process: it was stopped to make room for another. */
  stopped(): PlacedVersion[] {
    return [...this.#placed.values()].flatMap(({ version, isProven }) =>
      isProven && this.#groupOf(version.versionId) === undefined ? [version] : [],
    );
  }

  /**
   * Has a process run for a version that may have been stopped, with the version in memory.
   *
   * @param version without it the one that was placed last
   * @returns the address of its process
   * @throws model.not_found the version is not placed here
   * @throws worker.overloaded no other process can be stopped for it now
   */
  async activate(modelId: string, version: string | undefined): Promise<string> {
    const named = [...this.#placed.values()].filter((one) => one.version.modelId === modelId);
    const placed = named.findLast((one) => version === undefined || one.version.version === version);
    if (placed === undefined) throw new AppError('model.not_found', { message: 'This worker has no such model or version.' });
    const { versionId } = placed.version;
    if (this.#suspects.isGivenUp(versionId)) throw new AppError('model.not_ready');
    for (const deadlineMs = performance.now() + SLOT_PATIENCE_MS; ; await sleep(ROOM_RETRY_MS)) {
      try {
        const group = this.#groupOf(versionId);
        const running = group?.get(versionId);
        const member = group !== undefined && running !== undefined ? { group, version: running } : this.#join(placed);
        member.version.isProven = placed.isProven;
        if (member.version.state !== 'in-memory') await this.#load(member);
        if (member.group.url === null) throw new AppError('worker.unreachable', { retryAfterMs: 1_000 });
        return member.group.url;
      } catch (error) {
        const isWorthWaiting = error instanceof AppError && error.code === 'worker.overloaded' && !this.#isClosed;
        if (!isWorthWaiting || performance.now() > deadlineMs || this.#placed.get(versionId) !== placed) throw error;
      }
    }
  }

  /** What all processes measure, each in prom-client's JSON. */
  async metrics(timeoutMs: number): Promise<unknown[]> {
    return (await Promise.all([...this.#groups.values()].map((group) => group.metrics(timeoutMs)))).filter((metrics) => metrics !== null);
  }

  /** Ends all processes after the calls that they have. */
  async close(drainMs: number): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#watch);
    const groups = new Set([...this.#groups.values(), ...this.#retiring, ...this.#ending]);
    await Promise.all([...groups].map((group) => group.close(drainMs)));
  }

  #groupOf(versionId: string): ServingGroup | undefined {
    for (const group of this.#groups.values()) if (group.get(versionId) !== undefined) return group;
    return undefined;
  }

  /** Puts a version into the process of its trust class, or into one of its own when it is under suspicion. */
  #join({ version, ownerTenantId, bytes }: Placed): { group: ServingGroup; version: GroupVersion } {
    const trustClass = this.#trustClassOf(ownerTenantId);
    const key = this.#suspects.isSuspect(version.versionId) ? ownKey(version.versionId) : `class ${trustClass}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      this.#takeSlot(trustClass);
      group = this.#startGroup(key);
    }
    return { group, version: group.add(version, bytes) };
  }

  /** Stops the longest idle process where no slot is free. @throws worker.overloaded when none can be stopped now */
  #takeSlot(trustClass: string): void {
    const { maxProcesses, maxTenantProcesses } = this.#options;
    const running = [...this.#groups.values()].map((group) => {
      const versions = group.versions();
      const owner = this.#placed.get(versions[0]?.placed.versionId ?? '')?.ownerTenantId;
      return {
        key: group.key,
        trustClass: owner === undefined ? '' : this.#trustClassOf(owner),
        isBusy: group.url === null || versions.some(({ isBusy, state }) => isBusy || (state !== 'in-memory' && state !== 'cold')),
        idleMs: Math.min(...versions.map(({ idleMs }) => idleMs)),
      };
    });
    const reserved = this.#trustClassOf(PLATFORM_TENANT_ID);
    const slot = slotFor(trustClass, running, { maxProcesses, maxOfTrustClass: maxTenantProcesses, reserved });
    if (slot.kind === 'full')
      throw new AppError('worker.overloaded', {
        message: `The worker runs ${running.length} processes, may not start another, and can stop none of them now.`,
        retryAfterMs: 1_000,
      });
    if (slot.kind === 'stop') this.#stop(slot.key);
  }

  /** Ends an idle process; its versions stay placed, and their next call starts it again. */
  #stop(key: string): void {
    const group = this.#groups.get(key);
    if (group === undefined) return;
    this.#groups.delete(key);
    this.#ending.add(group);
    this.#options.logger.info({ process: key }, 'an idle serving process makes room for another');
    this.#onChange();
    void sleep(STOP_GRACE_MS, undefined, { ref: false }).then(() => this.#closeGroup(group, STOP_DRAIN_MS));
  }

  #trustClassOf(tenantId: string): string {
    return trustClassOf(tenantId, this.#options.trustClasses);
  }

  #startGroup(key: string): ServingGroup {
    const { settings, flightDirectory, environment, logger, urlOf, memoryBytes } = this.#options;
    const group: ServingGroup = new ServingGroup({
      key,
      settings,
      flightDirectory,
      memoryLimitBytes: memoryBytes + PROCESS_BASE_BYTES,
      environment,
      logger,
      urlOf,
      onWanted: (version) => void this.#load({ group, version }).catch(() => group.refuse(version)),
      onAsked: (version, what) => void this.#asked(group, version, what),
      onCrash: (running) => this.#crashed(group, running),
      onChange: () => this.#onChange(),
    });
    this.#groups.set(key, group);
    return group;
  }

  async #asked(group: ServingGroup, version: GroupVersion, what: 'load' | 'unload'): Promise<void> {
    try {
      if (what === 'load') await this.#load({ group, version });
      else await group.unload(version);
    } catch (error) {
      this.#options.logger.warn({ versionId: version.placed.versionId, err: error }, `an operator's ${what} failed`);
    }
  }

  /** Makes room and loads; one load of a version at a time. */
  #load(member: { group: ServingGroup; version: GroupVersion }): Promise<void> {
    const { versionId } = member.version.placed;
    const underWay = this.#loads.get(versionId);
    if (underWay !== undefined) return underWay;
    const load = this.#loadNow(member).finally(() => this.#loads.delete(versionId));
    this.#loads.set(versionId, load);
    return load;
  }

  async #loadNow({ group, version }: { group: ServingGroup; version: GroupVersion }): Promise<void> {
    // Its process may just be starting: then it asks again itself as soon as it listens.
    await group.started();
    if (group.get(version.placed.versionId) !== version) throw new AppError('model.not_ready');
    await this.#makeRoom(version);
    const measuredBytes = await group.load(version);
    const placed = this.#placed.get(version.placed.versionId);
    if (placed === undefined) return;
    placed.isProven = true;
    placed.measuredBytes = Math.max(placed.measuredBytes ?? 0, measuredBytes);
    this.#onChange();
  }

  /** Unloads idle versions until this one fits; those that are in use now may be idle in a moment. */
  async #makeRoom(version: GroupVersion): Promise<void> {
    const { memoryBytes } = this.#options;
    for (const deadlineMs = performance.now() + ROOM_PATIENCE_MS; ; await sleep(ROOM_RETRY_MS)) {
      if (this.#isClosed) throw new AppError('service.stopping', { retryAfterMs: 1_000 });
      const inMemory = this.#inMemoryBeside(version);
      const chosen = evictions(
        memoryBytes,
        // What turned out to need more than all of it runs when it is alone.
        Math.min(version.bytes, memoryBytes),
        inMemory.map(({ member }) => ({
          versionId: member.placed.versionId,
          bytes: member.bytes,
          idleMs: member.idleMs,
          isBusy: member.isBusy || member.state === 'loading',
        })),
      );
      if (chosen !== null) {
        const victims = inMemory.filter(({ member }) => chosen.includes(member.placed.versionId));
        await Promise.all(victims.map(({ group, member }) => group.unload(member)));
        return;
      }
      if (performance.now() > deadlineMs)
        throw new AppError('worker.overloaded', {
          message: `The model needs ${version.bytes} bytes of memory; too little of the worker's ${memoryBytes} can be freed now.`,
          retryAfterMs: 1_000,
        });
    }
  }

  #inMemoryBeside(version: GroupVersion): { group: ServingGroup; member: GroupVersion }[] {
    const members = [...this.#groups.values()].flatMap((group) => group.versions().map((member) => ({ group, member })));
    return members.filter(({ member }) => member !== version && (member.state === 'in-memory' || member.state === 'loading'));
  }

  /** A process ended with these versions running, or one of them hangs in it. */
  #crashed(group: ServingGroup, running: readonly string[]): void {
    if (this.#isClosed) return;
    const members = running.filter((versionId) => group.get(versionId) !== undefined);
    this.#suspects.crashed(members, this.#options.now());
    const isAlone = group.key === ownKey(members[0]);
    for (const versionId of members) {
      const { isProven, isWanted } = group.get(versionId) ?? { isProven: false, isWanted: false };
      const placed = this.#placed.get(versionId);
      const isGivenUp = this.#suspects.isGivenUp(versionId);
      if (isGivenUp) this.#options.logger.error({ versionId }, 'a version is given up: it ended its process again and again');
      if (isAlone && !isGivenUp) continue;
      group.forget(versionId);
      // One that was never loaded is placed again by whoever placed it.
      if (isGivenUp || placed === undefined || !isProven) continue;
      try {
        Object.assign(this.#join(placed).version, { isProven, isWanted });
      } catch (error) {
        this.#options.logger.error({ versionId, err: toAppError(error) }, 'a version has no process');
      }
    }
    if (group.versions().length === 0) void this.#end(group);
    else if (group.url !== null) this.#replace(group);
    this.#onChange();
  }

  /** Starts another process for the versions of a group; the old one takes calls until the new one has them in memory. */
  #replace(group: ServingGroup): void {
    const successor = this.#startGroup(group.key);
    const wanted: GroupVersion[] = [];
    for (const { placed, bytes, isProven, isWanted } of group.versions()) {
      const version = successor.add(placed, bytes);
      Object.assign(version, { isProven, isWanted });
      if (isWanted) wanted.push(version);
    }
    this.#retiring.add(group);
    const loads = wanted.map((version) => this.#load({ group: successor, version }));
    void Promise.allSettled(loads).then(async () => {
      this.#retiring.delete(group);
      this.#onChange();
      await this.#closeGroup(group, REPLACED_DRAIN_MS);
    });
  }

  #unloadIdle(): void {
    const { idleUnloadMs, logger } = this.#options;
    if (idleUnloadMs === 0) return;
    for (const group of this.#groups.values()) {
      for (const version of group.versions()) {
        if (version.state !== 'in-memory' || version.isBusy || version.idleMs < idleUnloadMs) continue;
        const { versionId } = version.placed;
        group.unload(version).catch((error: unknown) => logger.warn({ versionId, err: error }, 'an idle version could not be unloaded'));
      }
    }
  }

  #replaceLeaking(): void {
    for (const group of this.#groups.values()) {
      const accounted =
        PROCESS_BASE_BYTES / 4 + group.versions().reduce((sum, version) => sum + (version.state === 'in-memory' ? version.bytes : 0), 0);
      if (group.url === null || group.rssBytes < accounted * UNACCOUNTED_FACTOR + UNACCOUNTED_BYTES) continue;
      this.#options.logger.warn(
        { rssBytes: group.rssBytes, accountedBytes: accounted },
        'a serving process holds memory that no model accounts for',
      );
      this.#replace(group);
    }
  }

  async #end(group: ServingGroup): Promise<void> {
    if (this.#groups.get(group.key) === group) this.#groups.delete(group.key);
    await this.#closeGroup(group, 0);
  }

  async #closeGroup(group: ServingGroup, drainMs: number): Promise<void> {
    this.#ending.add(group);
    await group.close(drainMs);
    this.#ending.delete(group);
  }

  #givenUp(): AppError {
    return new AppError('model.package_invalid', { message: 'The model crashed or hung the process that ran it several times.' });
  }
}

/** Key of the process of a version under suspicion. */
function ownKey(versionId: string | undefined): string {
  return `version ${versionId}`;
}
