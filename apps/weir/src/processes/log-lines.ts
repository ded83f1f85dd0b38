import { z } from 'zod';

/** Levels of pino by name, as services log them; `fatal` is what a process dies with. */
const WORTH_SHOWING = new Set(['warn', 'error', 'fatal']);

/** Keeps the last lines of a log, to show what came before a death. */
export class LastLines {
  readonly #limit: number;
  #lines: string[] = [];

  constructor(limit = 200) {
    this.#limit = limit;
  }

  add(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > this.#limit) this.#lines = this.#lines.slice(-this.#limit);
  }

  clear(): void {
    this.#lines = [];
  }

  /** The last `count` lines in a form for people: of structured lines the time, level and message. */
  shown(count: number): string[] {
    const lines = this.#lines.map(readable).filter((line) => line.text !== '');
    const telling = lines.filter((line) => line.isTelling);
    return (telling.length > 0 ? telling : lines).slice(-count).map((line) => line.text);
  }
}

/** The fields of a structured line that are shown. */
const entrySchema = z.looseObject({
  level: z.string(),
  msg: z.string().default(''),
  err: z.looseObject({ message: z.string().default('') }).optional(),
});

function readable(line: string): { text: string; isTelling: boolean } {
  const entry = structured(line);
  if (entry === null) return { text: line.slice(0, 500), isTelling: line.trim() !== '' };
  const cause = entry.err === undefined ? '' : `: ${entry.err.message}`;
  return { text: `${entry.level} ${entry.msg}${cause}`.slice(0, 500), isTelling: WORTH_SHOWING.has(entry.level) };
}

function structured(line: string): z.infer<typeof entrySchema> | null {
  if (!line.startsWith('{')) return null;
  try {
    return entrySchema.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    // A line that only looks like JSON is shown as it is.
    return null;
  }
}
