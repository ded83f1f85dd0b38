/** Loading is measured, calls take more: this multiple of what was measured is reserved. */
const RESERVED_FACTOR = 2;

export interface MemoryOfVersion {
  /** Memory that its package asks for; null where it declares none. */
  readonly declaredBytes: number | null;
  /** Size of its files. */
  readonly fileBytes: number;
  /** Most memory that loading it took on a worker; null before it was loaded once. */
  readonly measuredBytes: number | null;
  /** The execution provider that it asks for. */
  readonly accelerator: string | null;
}

/**
 * Bytes that are reserved for a version on a worker: what its package asks for, and the size of its files at least, until it was
 * measured; then at most twice what was measured (or the size of its files, where that is more), so that what a package asks for
 * without need is not taken from others, and at least what was measured, so that asking for less gains nothing. Memory of an
 * accelerator is not measured: there the package is taken at its word.
 */
export function reservedBytes({ declaredBytes, fileBytes, measuredBytes, accelerator }: MemoryOfVersion): number {
  const asked = Math.max(declaredBytes ?? 0, fileBytes);
  if (measuredBytes === null || (accelerator !== null && accelerator !== 'cpu')) return asked;
  return Math.max(measuredBytes, Math.min(asked, Math.max(RESERVED_FACTOR * measuredBytes, fileBytes)));
}
