/** Prisma's code, and PostgreSQL's SQLSTATE. */
const UNIQUE_VIOLATION = new Set(['P2002', '23505']);

/** Did a write fail because a row with the same unique value exists? True for errors of Prisma and of plain SQL. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && UNIQUE_VIOLATION.has(error.code);
}
