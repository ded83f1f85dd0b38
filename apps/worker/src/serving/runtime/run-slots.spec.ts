import { describe, expect, it } from 'vitest';
import { RunSlots, type Runnable } from './run-slots.ts';

/** A network that always has work; each run is ended by hand. */
class Busy implements Runnable {
  readonly expectedMs: number;
  readonly hasInteractive: boolean;
  readonly log: string[];
  readonly name: string;
  isWaiting = true;
  runsAlone = false;
  #end: ((ms: number) => void) | null = null;

  constructor(name: string, log: string[], expectedMs: number, hasInteractive = true) {
    this.name = name;
    this.log = log;
    this.expectedMs = expectedMs;
    this.hasInteractive = hasInteractive;
  }

  start(): Promise<number> {
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
  for (const network of networks) slots.add(network);
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

  it('put interactive work first', async () => {
    const log: string[] = [];
    await woken(new RunSlots(1), new Busy('batch', log, 1, false), new Busy('interactive', log, 1));
    expect(log).toEqual(['interactive']);
  });
});
