const MS_PER_SECOND = 1_000;

/** Duration of audio as it is metered: in seconds, rounded up to the millisecond. */
export function audioSeconds(samples: number, sampleRateHz: number): number {
  return Math.ceil((samples * MS_PER_SECOND) / sampleRateHz) / MS_PER_SECOND;
}
