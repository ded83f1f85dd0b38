import { AppError } from '@weir/kernel';
import { isLocalAddress } from '@weir/platform/http';
import { lookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { errors, Pool } from 'undici';
import { errorOf } from './upstream-error.ts';

const CONNECT_TIMEOUT_MS = 2_000;
/** Shorter than servers keep idle connections (five seconds at least), so that none is used that has just been closed. */
const KEEP_ALIVE_MS = 4_000;
/** Largest answer that is taken. */
const MAX_ANSWER_BYTES = 64 * 1_048_576;

export interface UpstreamOptions {
  /** Base address, with a path where the server is not at the root. */
  readonly url: string;
  readonly connections: number;
  /** Longest wait for an answer, whatever the caller says. */
  readonly timeoutMs: number;
  /** The server may be at an address of this machine, its link or a metadata service. */
  readonly allowLocal: boolean;
}

export interface UpstreamRequest {
  readonly method: 'GET' | 'POST';
  /** Behind the base address, with a slash in front. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** Sent as `Authorization: Bearer`. */
  readonly secret: string | undefined;
  readonly signal: AbortSignal;
}

export interface UpstreamAnswer {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/**
 * Another server, over kept connections. Redirections are not followed: an address is what the operator wrote. Unless `allowLocal`, no
 * connection is made to a local address, whether the URL names it or its host resolves to it: each connection resolves again and connects
 * to the address that was checked, so DNS rebinding does not help.
 */
export class Upstream {
  readonly #pool: Pool;
  readonly #prefix: string;
  readonly #isRefused: boolean;

  constructor({ url, connections, timeoutMs, allowLocal }: UpstreamOptions) {
    const { origin, hostname, pathname } = new URL(url);
    // A host that is an address is connected to without a lookup.
    const address = hostname.replace(/^\[(.*)\]$/, '$1');
    this.#prefix = pathname.replace(/\/+$/, '');
    this.#isRefused = !allowLocal && isIP(address) !== 0 && isLocalAddress(address);
    this.#pool = new Pool(origin, {
      connections,
      pipelining: 1,
      connectTimeout: CONNECT_TIMEOUT_MS,
      ...(allowLocal ? {} : { connect: { lookup: lookupElsewhere } }),
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    });
  }

  /**
   * The answer to a request, when it is 200.
   *
   * @throws worker.unreachable the server cannot be reached, or cannot answer
   * @throws request.timeout    it took too long
   * @throws AppError           what its refusal means to the caller, or the reason of the signal
   */
  async request({ method, path, headers, body, secret, signal }: UpstreamRequest): Promise<UpstreamAnswer> {
    if (this.#isRefused) throw localAddressRefused();
    try {
      const answer = await this.#pool.request({
        method,
        path: `${this.#prefix}${path}`,
        headers: { ...headers, ...(secret === undefined ? {} : { authorization: `Bearer ${secret}` }) },
        body: body ?? null,
        signal,
      });
      if (answer.statusCode !== 200) {
        await answer.body.dump();
        throw errorOf({ status: answer.statusCode, headers: answer.headers });
      }
      return { headers: answer.headers, body: await collected(answer.body) };
    } catch (error) {
      if (error instanceof AppError) throw error;
      if (signal.aborted) throw signal.reason;
      if (error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError)
        throw new AppError('request.timeout', { cause: error });
      // The parser's error carries the bytes that it could not read, which are not for the log.
      const cause = error instanceof errors.HTTPParserError ? new Error(error.message) : error;
      throw new AppError('worker.unreachable', { message: 'The server that runs the model does not answer.', cause });
    }
  }

  /** Lets what is under way end. */
  async close(): Promise<void> {
    await this.#pool.close();
  }

  /** Ends what is under way. */
  async destroy(): Promise<void> {
    await this.#pool.destroy();
  }
}

/** Resolves a host name to those of its addresses that are not local. @throws worker.unreachable when all of them are */
const lookupElsewhere: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
    if (error !== null) return callback(error, []);
    const allowed = addresses.filter(({ address }) => !isLocalAddress(address));
    const [first] = allowed;
    if (first === undefined) return callback(localAddressRefused(), []);
    if (options.all === true) return callback(null, allowed);
    callback(null, first.address, first.family);
  });
};

function localAddressRefused(): AppError {
  return new AppError('worker.unreachable', {
    message: 'The server that runs the model is at an address of this machine, its link or a metadata service, which workers do not call.',
  });
}

async function collected(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw new AppError('model.failed', { message: 'The answer of the model is too large.' });
    chunks.push(chunk);
  }
  return chunks.length === 1 ? (chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(chunks);
}
