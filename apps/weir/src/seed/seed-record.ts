import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';

/** A starter model at a version, as the demonstration lists it. */
export interface StarterModel {
  readonly name: string;
  readonly folder: string;
  readonly version: string;
}

const recordSchema = z.looseObject({ models: z.array(z.string()).default([]) });
const titleOf = ({ name, version }: StarterModel): string => `${name} ${version}`;

/** Keeps that the demonstration is complete, and with which models. */
export function writeSeedRecord(file: string, models: readonly StarterModel[]): void {
  writeFileSync(file, `${JSON.stringify({ completedAt: new Date().toISOString(), models: models.map(titleOf) })}\n`);
}

/** The models that were seeded; null when the demonstration was never completed. An installation may be older than a model. */
export function readSeedRecord<T extends StarterModel>(file: string, models: readonly T[]): T[] | null {
  if (!existsSync(file)) return null;
  const seeded = new Set(titlesIn(readFileSync(file, 'utf8')));
  return models.filter((model) => seeded.has(titleOf(model)));
}

function titlesIn(content: string): string[] {
  try {
    return recordSchema.parse(JSON.parse(content)).models;
  } catch {
    // Cut off by a full disk or a sudden end: that it is there says that the demonstration is complete.
    return [];
  }
}
