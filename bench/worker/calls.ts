import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** One HTTP request. */
export interface Call {
  readonly origin: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface Outcome {
  readonly status: number;
  /** Milliseconds from the call to the last byte of its answer; where it had to wait for a connection, from when it was due. */
  readonly ms: number;
}

/**
 * Sends `count` calls, `inFlight` at a time, the given ones in turns.
 *
 * @throws when an answer is not 200
 */
export async function keepInFlight(calls: readonly Call[], count: number, inFlight: number): Promise<Outcome[]> {
  const requests = calls.map(requestBytes);
  const outcomes: Outcome[] = [];
  let next = 0;
  await withConnections(calls, inFlight, async (connection) => {
    while (next < count) {
      const request = requests[next++ % requests.length];
      if (request === undefined) return;
      const begin = performance.now();
      const status = await connection.send(request);
      if (status !== 200) throw new Error(`${calls[0]?.path} answered ${status}`);
      outcomes.push({ status, ms: performance.now() - begin });
    }
  });
  return outcomes;
}

/** Sends calls at a steady rate, whatever becomes of them, over as many connections as may be under way at once. */
export async function keepRate(call: Call, perSecond: number, seconds: number, connections: number): Promise<Outcome[]> {
  const request = requestBytes(call);
  const outcomes: Outcome[] = [];
  const count = Math.round(perSecond * seconds);
  const begin = performance.now();
  let next = 0;
  await withConnections([call], connections, async (connection) => {
    while (next < count) {
      const due = begin + (next++ * 1_000) / perSecond;
      const early = due - performance.now();
      if (early > 0) await sleep(early);
      // What a timer is late is nobody's fault; that no connection was free is.
      const from = early > 0 ? performance.now() : due;
      const status = await connection.send(request);
      outcomes.push({ status, ms: performance.now() - from });
    }
  });
  return outcomes;
}

async function withConnections(calls: readonly Call[], count: number, work: (connection: Connection) => Promise<void>): Promise<void> {
  const origin = calls[0]?.origin ?? '';
  const connections = await Promise.all(Array.from({ length: count }, () => Connection.open(origin)));
  try {
    await Promise.all(connections.map(work));
  } finally {
    for (const connection of connections) connection.close();
  }
}

function requestBytes({ origin, path, headers, body }: Call): Buffer {
  const fields = Object.entries({ host: new URL(origin).host, 'content-length': String(body.length), ...headers });
  return Buffer.concat([
    Buffer.from(`POST ${path} HTTP/1.1\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`),
    body,
  ]);
}

const HEAD_END = Buffer.from('\r\n\r\n');
const LENGTH = /\r\ncontent-length: *(\d+)/i;

/**
 * A connection that reads no more of an answer than its status and its length: it shares the cores with what is measured, so
 * it has to cost little.
 */
class Connection {
  readonly #socket: Socket;
  #answer: { resolve: (status: number) => void; reject: (error: Error) => void } | null = null;
  #head: Buffer = Buffer.alloc(0);
  #missingBytes = 0;
  #status = 0;
  #failure: Error | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#read(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the server closed the connection')));
  }

  static open(origin: string): Promise<Connection> {
    const { hostname, port } = new URL(origin);
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => {
        socket.off('error', reject);
        resolve(new Connection(socket));
      });
      socket.once('error', reject);
    });
  }

  /** Resolves with the status when the whole answer is there. */
  send(request: Buffer): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) return reject(this.#failure);
      this.#answer = { resolve, reject };
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    if (this.#missingBytes > 0) this.#missingBytes -= chunk.length;
    else {
      this.#head = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]);
      const end = this.#head.indexOf(HEAD_END);
      if (end < 0) return;
      const head = this.#head.toString('latin1', 0, end);
      const length = LENGTH.exec(head)?.[1];
      if (length === undefined) return this.#fail(new Error(`an answer that does not say its length: ${head}`));
      this.#status = Number(head.slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length));
      this.#missingBytes = end + HEAD_END.length + Number(length) - this.#head.length;
      this.#head = Buffer.alloc(0);
    }
    if (this.#missingBytes > 0) return;
    const answer = this.#answer;
    this.#answer = null;
    answer?.resolve(this.#status);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    const answer = this.#answer;
    this.#answer = null;
    answer?.reject(error);
  }
}
