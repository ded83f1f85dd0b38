import { setTimeout as sleep } from 'node:timers/promises';
import { PLATFORM_TENANT_ID } from '@weir/access';
import { AppError, toAppError } from '@weir/kernel';
import type { Logger } from '@weir/platform/telemetry';
import type { PlacedVersion, ServingSettings } from '../serving/control-messages.ts';
import type { Flight } from '../serving/versions/flight-record.ts';
import { CrashTracker, quarantineError, type CrashKind } from './crash-tracker.ts';
import { handOver, isLeaking } from './group-succession.ts';
import { evictions } from './memory-budget.ts';
import { slotFor, type SlotDecision } from './process-slots.ts';
import type { ServingAccount, ServingAccounts } from './serving-accounts.ts';
import { ServingGroup, type GroupVersion } from './serving-group.ts';
import { trustClassOf, type TrustClasses } from './trust-class.ts';

/** A process may need this much beside the models in it. */
const PROCESS_BASE_BYTES = 1_073_741_824;
/** Longest wait for others to become idle, and how often to look: serving processes say every second what is in use. */
const ROOM_PATIENCE_MS = 5_000;
const ROOM_RETRY_MS = 250;
/** Longest wait of a call for a slot for the process of its version, which was stopped. */
const SLOT_PATIENCE_MS = 10_000;
/** Gateways learn the address of a successor within milliseconds; until then the connections of the process that it replaces stay open. */
const SWITCH_GRACE_MS = 2_000;
/** What the calls of a process that is replaced get to finish. */
const REPLACED_DRAIN_MS = 5_000;
/** A process that is stopped takes calls for this long after the announcement that they go elsewhere. */
const STOP_GRACE_MS = 1_000;
/** Time for the calls that it took meanwhile; without any it ends at once. */
const STOP_DRAIN_MS = 60_000;
/** How often it looks for what is idle or leaks. */
const WATCH_MS = 10_000;
const LEAST_WATCH_MS = 1_000;
/** How often it checks which refusals and quarantines have ended. */
const CRASH_WATCH_MS = 1_000;

export interface ServingFleetOptions {
  readonly settings: (flightFile: string) => ServingSettings;
  readonly flightDirectory: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly trustClasses: TrustClasses;
  /** Null: serving processes run as the user of this process. */
  readonly accounts: ServingAccounts | null;
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
  readonly #crashes = new CrashTracker();
  /** Loads that are under way, by version: nobody asks twice. */
  readonly #loads = new Map<string, Promise<void>>();
  readonly #watch: NodeJS.Timeout;
  readonly #crashWatch: NodeJS.Timeout;
  /** Restrictions that the processes know of; refusals without the time that is left. */
  #restricted = '[]';
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
    this.#crashWatch = setInterval(() => {
      this.#restrict();
      this.#endQuarantines();
    }, CRASH_WATCH_MS);
    this.#crashWatch.unref();
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
  async place(version: PlacedVersion, bytes: number): Promise<void> {
    if (bytes > this.#options.memoryBytes)
      throw new AppError('model.package_invalid', {
        message: `The package needs ${bytes} bytes of memory; the worker has ${this.#options.memoryBytes} in all.`,
      });
    this.#assertNotQuarantined(version.versionId);
    const placed: Placed = { version, bytes, isProven: false, measuredBytes: null };
    this.#placed.set(version.versionId, placed);
    const member = this.#join(placed);
    try {
      await this.#load(member);
    } catch (error) {
      this.#assertNotQuarantined(version.versionId);
      await this.remove(version.versionId, { isForgiven: false });
      throw error;
    }
  }

  /** Whom the processes of a tenant's models run as. */
  accountOf(tenantId: string): ServingAccount | null {
    return this.#options.accounts?.of(this.#trustClassOf(tenantId)) ?? null;
  }

  /** The model of a version has another visibility now. */
  update(versionId: string, visibility: PlacedVersion['visibility']): void {
    const placed = this.#placed.get(versionId);
    if (placed === undefined) return;
    this.#placed.set(versionId, { ...placed, version: { ...placed.version, visibility } });
    for (const group of [...this.#groups.values(), ...this.#retiring]) group.update(versionId, visibility);
  }

  /** Takes no more calls for a version, and frees its memory. */
  async remove(versionId: string, { isForgiven = true }: { isForgiven?: boolean } = {}): Promise<void> {
    this.#placed.delete(versionId);
    if (isForgiven) this.#crashes.forget(versionId);
    const group = this.#groupOf(versionId);
    await group?.remove(versionId);
    if (group !== undefined && group.versions().length === 0) await this.#end(group);
  }

  /**
   * Forgets the crashes of a version and loads it, also while it is quarantined.
   *
   * @throws AppError as `place` does
   */
  async revive(versionId: string): Promise<void> {
    this.#crashes.revive(versionId);
    this.#restrict();
    const placed = this.#placed.get(versionId);
    if (placed === undefined) return;
    const group = this.#groupOf(versionId);
    const version = group?.get(versionId);
    await this.#load(group === undefined || version === undefined ? this.#join(placed) : { group, version });
  }

  stateOf(versionId: string): ServedState {
    const quarantined = this.#quarantined(versionId);
    if (quarantined !== null) return { state: 'failed', error: quarantined.message };
    const { isProven, measuredBytes } = this.#placed.get(versionId) ?? { isProven: false, measuredBytes: null };
    const measured = measuredBytes === null ? {} : { memoryBytes: measuredBytes };
    const group = this.#groupOf(versionId);
    const version = group?.get(versionId);
    // The process that is replaced takes the calls of a version until its successor has the version and its sequences.
    for (const retiring of this.#retiring)
      if (retiring.url !== null && retiring.get(versionId) !== undefined) return { state: 'ready', url: retiring.url, ...measured };
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
    this.#assertNotQuarantined(versionId);
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
    clearInterval(this.#crashWatch);
    const groups = new Set([...this.#groups.values(), ...this.#retiring, ...this.#ending]);
    await Promise.all([...groups].map((group) => group.close(drainMs)));
  }

  #groupOf(versionId: string): ServingGroup | undefined {
    for (const group of this.#groups.values()) if (group.get(versionId) !== undefined) return group;
    return undefined;
  }

  /**
   * Puts a version into the process of its trust class, or into one of its own when it crashed others.
   *
   * @param mayShare where there may be no further process it stays in that of its class: calls crashed it, but its load does not
   * @throws worker.overloaded there may be no further process, and none can be stopped for it now
   */
  #join({ version, bytes }: Placed, mayShare = false): { group: ServingGroup; version: GroupVersion } {
    const own = ownKey(version.versionId);
    const trustClass = this.#trustClassOf(version.ownerTenantId);
    const hasRoom = this.#groups.has(own) || !mayShare || this.#slotFor(trustClass).kind !== 'full';
    const key = this.#crashes.isIsolated(version.versionId) && hasRoom ? own : `class ${trustClass}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      this.#takeSlot(trustClass);
      group = this.#startGroup(key, this.accountOf(version.ownerTenantId));
    }
    return { group, version: group.add(version, bytes) };
  }

  #slotFor(trustClass: string): SlotDecision {
    const { maxProcesses, maxTenantProcesses } = this.#options;
    const running = [...this.#groups.values()].map((group) => {
      const versions = group.versions();
      const owner = versions[0]?.placed.ownerTenantId;
      return {
        key: group.key,
        trustClass: owner === undefined ? '' : this.#trustClassOf(owner),
        isBusy: group.url === null || versions.some(({ isBusy, state }) => isBusy || (state !== 'in-memory' && state !== 'cold')),
        idleMs: Math.min(...versions.map(({ idleMs }) => idleMs)),
      };
    });
    const reserved = this.#trustClassOf(PLATFORM_TENANT_ID);
    return slotFor(trustClass, running, { maxProcesses, maxOfTrustClass: maxTenantProcesses, reserved });
  }

  /** Stops the longest idle process where no slot is free. @throws worker.overloaded when none can be stopped now */
  #takeSlot(trustClass: string): void {
    const slot = this.#slotFor(trustClass);
    if (slot.kind === 'full')
      throw new AppError('worker.overloaded', {
        message: `The worker runs ${this.#groups.size} processes, may not start another, and can stop none of them now.`,
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

  #startGroup(key: string, account: ServingAccount | null): ServingGroup {
    const { settings, flightDirectory, environment, logger, urlOf, memoryBytes } = this.#options;
    const group: ServingGroup = new ServingGroup({
      key,
      settings,
      flightDirectory,
      memoryLimitBytes: memoryBytes + PROCESS_BASE_BYTES,
      account,
      environment,
      logger,
      urlOf,
      onWanted: (version) => void this.#load({ group, version }).catch(() => group.refuse(version)),
      onAsked: (version, what) => void this.#asked(group, version, what),
      restrictions: () => this.#crashes.restrictions(this.#options.now()),
      onCrash: (kind, running) => this.#crashed(group, kind, running),
      onChange: () => this.#onChange(),
    });
    this.#groups.set(key, group);
    return group;
  }

  async #asked(group: ServingGroup, version: GroupVersion, what: 'load' | 'unload'): Promise<void> {
    try {
      if (what === 'load') await this.revive(version.placed.versionId);
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
    this.#crashes.loaded(version.placed.versionId);
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

  /** A process ended with these loads and runs in progress, or one of them hangs. */
  #crashed(group: ServingGroup, kind: CrashKind, flights: readonly Flight[]): void {
    if (this.#isClosed) return;
    const running = flights.filter(({ versionId }) => group.get(versionId) !== undefined);
    const isProven = (versionId: string): boolean => group.get(versionId)?.isProven ?? false;
    this.#crashes.crashed({ kind, running, isProven }, this.#options.now());
    this.#restrict();
    const loads = new Set(running.filter(({ tenantId }) => tenantId === null).map(({ versionId }) => versionId));
    for (const versionId of new Set(running.map((flight) => flight.versionId))) {
      const quarantined = this.#quarantined(versionId);
      if (quarantined !== null) this.#options.logger.error({ versionId, reason: quarantined.message }, 'a version is quarantined');
      const hasToMove = this.#crashes.isIsolated(versionId) && group.key !== ownKey(versionId);
      const isUnproven = loads.has(versionId) && !isProven(versionId);
      if (quarantined !== null || hasToMove || isUnproven) this.#takeOut(group, versionId, quarantined === null && !isUnproven);
    }
    if (group.versions().length === 0) void this.#end(group);
    else if (group.url !== null) this.#replace(group, 'hang', new Set(running.map(({ versionId }) => versionId)));
    this.#onChange();
  }

  /** Takes a version out of a group whose process has ended or is about to; one that was never loaded is placed again by the reconciler. */
  #takeOut(group: ServingGroup, versionId: string, joinsAnother: boolean): void {
    const { isProven, isWanted } = group.get(versionId) ?? { isProven: false, isWanted: false };
    const placed = this.#placed.get(versionId);
    group.forget(versionId);
    if (!joinsAnother || placed === undefined) return;
    try {
      Object.assign(this.#join(placed, isProven).version, { isProven, isWanted });
    } catch (error) {
      this.#options.logger.error({ versionId, err: toAppError(error) }, 'a version has no process');
    }
  }

  /** Sends the processes their call restrictions when these have changed. */
  #restrict(): void {
    const restrictions = this.#crashes.restrictions(this.#options.now());
    const restricted = JSON.stringify(restrictions.map((one) => ({ ...one, refusedForMs: one.refusedForMs !== null })));
    if (restricted === this.#restricted) return;
    this.#restricted = restricted;
    for (const group of new Set([...this.#groups.values(), ...this.#retiring])) group.restrict();
  }

  /** Loads the versions whose quarantine has ended, and those that found no process before. A proven one waits for its next call. */
  #endQuarantines(): void {
    for (const [versionId, placed] of this.#placed) {
      if (placed.isProven || this.#quarantined(versionId) !== null || this.#groupOf(versionId) !== undefined) continue;
      try {
        this.#load(this.#join(placed)).catch((error: unknown) =>
          this.#options.logger.error({ versionId, err: error }, 'a version could not be loaded after its quarantine'),
        );
      } catch (error) {
        this.#options.logger.debug({ versionId, err: error }, 'a version has no process');
      }
    }
  }

  /**
   * Starts another process for the versions of a group. The old one takes calls of a version until the new one has it in memory
   * and its sequences were moved; of a version that hangs it takes none.
   */
  #replace(group: ServingGroup, reason: 'leak' | 'hang', hanging: ReadonlySet<string> = new Set()): void {
    if (this.#retiring.has(group)) {
      for (const versionId of hanging) group.forget(versionId);
      return;
    }
    const successor = this.#startGroup(group.key, group.account);
    const moves = group.versions().map(async ({ placed, bytes, isProven, isWanted }) => {
      const version = successor.add(placed, bytes);
      Object.assign(version, { isProven, isWanted });
      if (hanging.has(placed.versionId)) group.forget(placed.versionId);
      if (isWanted) await this.#load({ group: successor, version });
    });
    this.#retiring.add(group);
    void Promise.allSettled(moves).then(async () => {
      await handOver(group, successor, this.#options.logger, () => this.#onChange());
      this.#retiring.delete(group);
      this.#ending.add(group);
      this.#onChange();
      this.#options.logger.info({ reason }, 'a serving process was replaced');
      await sleep(SWITCH_GRACE_MS, undefined, { ref: false });
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
      if (group.url === null || !isLeaking(group)) continue;
      this.#options.logger.warn({ rssBytes: group.rssBytes }, 'a serving process holds memory that no model accounts for');
      this.#replace(group, 'leak');
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

  #quarantined(versionId: string): AppError | null {
    const now = this.#options.now();
    const quarantine = this.#crashes.quarantineOf(versionId, now);
    return quarantine === null ? null : quarantineError(quarantine, now);
  }

  #assertNotQuarantined(versionId: string): void {
    const quarantined = this.#quarantined(versionId);
    if (quarantined !== null) throw quarantined;
  }
}

/** Key of the process of a version that has one of its own. */
function ownKey(versionId: string | undefined): string {
  return `version ${versionId}`;
}
