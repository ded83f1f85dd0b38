import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { z } from 'zod';
import type { RunCaller } from '../runtime/run-caller.ts';

/** Space for one entry; ids are at most 100 characters. */
const SLOT_BYTES = 512;
const EMPTY = Buffer.alloc(SLOT_BYTES, ' ');
/** Longest record that is read, in bytes. The process that writes it runs foreign code. */
const MAX_RECORD_BYTES = 1_048_576;

export const flightSchema = z.object({
  versionId: z.string().max(100),
  /** Tenant whose call was running; null: the version was being loaded. */
  tenantId: z.string().max(100).nullable(),
  shapeClass: z.string().max(20),
  /** Elements of the tensors of the tenant's calls in the run. */
  elements: z.number().int().nonnegative(),
});
/** A load, or the calls of one tenant and shape class in a run. */
export type Flight = z.infer<typeof flightSchema>;

/**
 * The loads and runs in progress in a serving process, in a file. It outlives the process, however that ends, and shows the
 * supervisor which versions and callers can have caused the end. Two small writes per caller of a run, into the page cache.
 */
export class FlightRecord {
  readonly #file: number;
  readonly #free: number[] = [];
  readonly #current = new Map<number, Flight>();
  #slots = 0;

  constructor(path: string) {
    this.#file = openSync(path, 'w', 0o600);
  }

  /** Records the start of a load (`callers` null) or of a run; the returned function records its end. */
  began(versionId: string, callers: readonly RunCaller[] | null): () => void {
    const slots = flightsOf(versionId, callers).map((flight) => this.#write(flight));
    return () => {
      for (const slot of slots) this.#clear(slot);
    };
  }

  /** Loads and runs of a version that are in progress. */
  of(versionId: string): Flight[] {
    return [...this.#current.values()].filter((flight) => flight.versionId === versionId);
  }

  close(): void {
    closeSync(this.#file);
  }

  #write(flight: Flight): number {
    const slot = this.#free.pop() ?? this.#slots++;
    const entry = Buffer.from(EMPTY);
    entry.write(JSON.stringify(flight), 'utf8');
    writeSync(this.#file, entry, 0, SLOT_BYTES, slot * SLOT_BYTES);
    this.#current.set(slot, flight);
    return slot;
  }

  #clear(slot: number): void {
    writeSync(this.#file, EMPTY, 0, SLOT_BYTES, slot * SLOT_BYTES);
    this.#current.delete(slot);
    this.#free.push(slot);
  }
}

/** The loads and runs in progress when the process that wrote the record ended. */
export function readFlightRecord(path: string): Flight[] {
  const text = contentOf(path);
  const flights: Flight[] = [];
  for (let at = 0; at < text.length; at += SLOT_BYTES) {
    const parsed = flightSchema.safeParse(jsonOf(text.subarray(at, at + SLOT_BYTES)));
    if (parsed.success) flights.push(parsed.data);
  }
  return flights;
}

/** One entry for each tenant and shape class among the callers of a run. */
function flightsOf(versionId: string, callers: readonly RunCaller[] | null): Flight[] {
  if (callers === null) return [{ versionId, tenantId: null, shapeClass: '', elements: 0 }];
  const flights = new Map<string, Flight>();
  for (const { tenantId, shapeClass, elements } of callers) {
    const key = `${shapeClass} ${tenantId}`;
    flights.set(key, { versionId, tenantId, shapeClass, elements: elements + (flights.get(key)?.elements ?? 0) });
  }
  return [...flights.values()];
}

/** Empty where no record was written. */
function contentOf(path: string): Buffer {
  let file: number | null = null;
  try {
    file = openSync(path, 'r');
    const buffer = Buffer.alloc(MAX_RECORD_BYTES);
    return buffer.subarray(0, readSync(file, buffer, 0, MAX_RECORD_BYTES, 0));
  } catch {
    return Buffer.alloc(0);
  } finally {
    if (file !== null) closeSync(file);
  }
}

function jsonOf(entry: Buffer): unknown {
  try {
    return JSON.parse(entry.toString('utf8'));
  } catch {
    return null;
  }
}
