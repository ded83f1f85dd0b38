/** The person's view of the platform: plain lines, and on a terminal one last line that ticks. */
export class Terminal {
  readonly #out: NodeJS.WriteStream;
  #status = '';

  constructor(out: NodeJS.WriteStream = process.stdout) {
    this.#out = out;
    // A terminal that is closed must not stop the orderly end of the platform.
    out.on('error', () => undefined);
  }

  /** Is somebody watching a terminal, where a line can tick? */
  get isInteractive(): boolean {
    return this.#out.isTTY;
  }

  /** A line that stays. */
  line(text = ''): void {
    this.#clearStatus();
    this.#out.write(`${text}\n`);
    this.#drawStatus();
  }

  /** What is going on now: replaces what was said last; shown on a terminal alone. `''` ends it. */
  status(text: string): void {
    this.#clearStatus();
    this.#status = text;
    this.#drawStatus();
  }

  #clearStatus(): void {
    if (this.#out.isTTY && this.#status !== '') this.#out.write('\r\u001b[2K');
  }

  #drawStatus(): void {
    if (this.#out.isTTY && this.#status !== '') this.#out.write(this.#status.slice(0, (this.#out.columns || 80) - 1));
  }
}

/** Without a terminal a line now and then is enough to see that it lives. */
const PLAIN_INTERVAL_MS = 15_000;

/** Shows since when `work` runs, once a second on a terminal, until it ends; `what` is asked anew each time. */
export async function withTicking<T>(terminal: Terminal, what: () => string, work: Promise<T>): Promise<T> {
  const began = Date.now();
  const text = (): string => `  … ${what()} (${Math.round((Date.now() - began) / 1000)} s)`;
  terminal.status(text());
  const timer = terminal.isInteractive
    ? setInterval(() => terminal.status(text()), 1_000)
    : setInterval(() => terminal.line(text()), PLAIN_INTERVAL_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
    terminal.status('');
  }
}

/** `1.2 s` since `beganMs`. */
export function secondsSince(beganMs: number): string {
  return `${((Date.now() - beganMs) / 1000).toFixed(1)} s`;
}
