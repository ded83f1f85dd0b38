/** The one place that reads the process environment: everything else is given its settings. */
export function readEnvironment(): Readonly<Record<string, string | undefined>> {
  return { ...process.env };
}
