import { describe, expect, it } from 'vitest';
import { RunSlots, type NextRun, type Runnable } from './run-slots.ts';
import type { Priority } from './waiting-item.ts';

/** A network that always has work of one tenant; each run is ended by hand. */
class Busy implements Runnable {
  readonly expectedMs: number;
  readonly priority: Priority;
  readonly tenantId: string;
  readonly log: string[];
  readonly name: string;
  slots: RunSlots | null = null;
  isWaiting = true;
  runsAlone = false;
  #end: ((ms: number) => void) | null = null;

  constructor(name: string, log: string[], expectedMs: number, priority: Priority = 'interactive', tenantId = 'acme') {
    this.name = name;
    this.log = log;
    this.expectedMs = expectedMs;
    this.priority = priority;
    this.tenantId = tenantId;
  }

  next(priority: Priority): NextRun | null {
    if (priority !== this.priority) return null;
    const { expectedMs, runsAlone } = this;
    return { startMs: this.slots?.tenants.startOf(this.tenantId) ?? 0, expectedMs, runsAlone };
  }

  start(): Promise<number> {
    this.slots?.tenants.began(this.tenantId);
    const { tenantId, runsAlone } = this;
    this.slots?.charge({ tenantId, shapeClass: '0x0', elements: 1, runsAlone }, this.expectedMs);
    this.log.push(this.name);
    this.isWaiting = false;
    return new Promise((resolve) => {
      this.#end = (ms) => {
        this.isWaiting = true;
        resolve(ms);
      };
    });
  }

  async end(): Promise<void> {
    this.#end?.(this.expectedMs);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function woken(slots: RunSlots, ...networks: Busy[]): Promise<void> {
  for (const network of networks) {
    network.slots = slots;
    slots.add(network);
  }
  slots.wake();
  await new Promise((resolve) => setImmediate(resolve));
}

describe('the slots of a process', () => {
  it('run no more at once than there are', async () => {
    const log: string[] = [];
    await woken(new RunSlots(2), ...['a', 'b', 'c'].map((name) => new Busy(name, log, 1)));
    expect(log).toEqual(['a', 'b']);
  });

  it('share the time between networks, not the number of runs', async () => {
    const log: string[] = [];
    const [slow, quick] = [new Busy('slow', log, 10), new Busy('quick', log, 2)];
    await woken(new RunSlots(1), slow, quick);
    for (let i = 0; i < 30; i++) await (log.at(-1) === 'slow' ? slow : quick).end();
    const timeOf = (name: string, ms: number): number => log.filter((entry) => entry === name).length * ms;
    expect(Math.abs(timeOf('slow', 10) - timeOf('quick', 2))).toBeLessThanOrEqual(20);
  });

  it('keep one free of heavy runs, so that a light one never waits for them', async () => {
    const log: string[] = [];
    const heavy = [new Busy('heavy 1', log, 500), new Busy('heavy 2', log, 500)];
    const slots = new RunSlots(2);
    await woken(slots, ...heavy);
    expect(log).toEqual(['heavy 1']);
    await woken(slots, new Busy('light', log, 1));
    expect(log).toEqual(['heavy 1', 'light']);
  });

  it('run heavy work where there is one slot only', async () => {
    const log: string[] = [];
    await woken(new RunSlots(1), new Busy('heavy', log, 500));
    expect(log).toEqual(['heavy']);
  });

  it('give a run that must be alone the process to itself', async () => {
    const log: string[] = [];
    const [first, alone, third] = ['first', 'alone', 'third'].map((name) => new Busy(name, log, 1)) as [Busy, Busy, Busy];
    const slots = new RunSlots(2);
    await woken(slots, first);
    alone.runsAlone = true;
    await woken(slots, alone);
    await woken(slots, third);
    expect(log).toEqual(['first']);
    first.isWaiting = false;
    await first.end();
    expect(log).toEqual(['first', 'alone']);
    await alone.end();
    expect(log.slice(2)).toContain('third');
  });

  it('share the time of the process, not of a slot, between a tenant whose runs must be alone and another', async () => {
    const log: string[] = [];
    const [alone, ...others] = ['alone', 'other 1', 'other 2'].map((name) => new Busy(name, log, 1, 'interactive', name.slice(0, 5))) as [
      Busy,
      Busy,
      Busy,
    ];
    alone.runsAlone = true;
    await woken(new RunSlots(2), alone, ...others);
    for (let i = 0; i < 90; i++) await Promise.all([alone, ...others].map((network) => network.end()));
    const runsOf = (prefix: string): number => log.filter((name) => name.startsWith(prefix)).length;
    // Two runs of the other take place at once.
    expect(runsOf('other') / runsOf('alone')).toBeGreaterThan(1.8);
    expect(runsOf('other') / runsOf('alone')).toBeLessThan(2.2);
  });

  it('put interactive work first', async () => {
    const log: string[] = [];
    await woken(new RunSlots(1), new Busy('batch', log, 1, 'batch'), new Busy('interactive', log, 1));
    expect(log).toEqual(['interactive']);
  });

  it('give batch work a sixteenth of the time while interactive work never ends', async () => {
    const log: string[] = [];
    const networks = [new Busy('interactive', log, 2), new Busy('batch', log, 2, 'batch', 'other')];
    await woken(new RunSlots(1), ...networks);
    for (let i = 0; i < 160; i++) await networks.find(({ name }) => name === log.at(-1))?.end();
    expect(log.filter((name) => name === 'batch')).toHaveLength(10);
  });

  it('share the time between tenants, not between the networks that they call', async () => {
    const log: string[] = [];
    const ofOne = Array.from({ length: 5 }, (_, index) => new Busy(`one ${index}`, log, 10, 'interactive', 'one'));
    const ofOther = new Busy('other', log, 10, 'interactive', 'other');
    const networks = [...ofOne, ofOther];
    await woken(new RunSlots(1), ...networks);
    for (let i = 0; i < 60; i++) await networks.find(({ name }) => name === log.at(-1))?.end();
    expect(Math.abs(log.filter((name) => name === 'other').length - 30)).toBeLessThanOrEqual(2);
    for (const { name } of ofOne) expect(log.filter((entry) => entry === name).length).toBeGreaterThanOrEqual(5);
  });
});
