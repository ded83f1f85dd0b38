import { createServer, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** A request that came to the other server. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** What is done with a request instead of handing it on; false hands it on. */
export type Fault = (request: SeenRequest, response: ServerResponse) => boolean;

/** Stands in front of a server and hands everything on as it came, but for the headers that are added and the faults it is told to make. */
export interface OtherServer {
  readonly url: string;
  readonly seen: SeenRequest[];
  /** From now on; null takes the last one back. */
  fault(fault: Fault | null): void;
  /** Calls that have come in and are not answered. */
  underWay(): number;
  close(): Promise<void>;
}

export async function standInFrontOf(target: () => string, headers: () => Promise<Readonly<Record<string, string>>>): Promise<OtherServer> {
  const seen: SeenRequest[] = [];
  let current: Fault | null = null;
  let underWay = 0;
  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    underWay++;
    response.once('close', () => underWay--);
    const request = {
      method: incoming.method ?? '',
      path: incoming.url ?? '',
      headers: incoming.headers,
      body: await buffer(incoming),
    };
    seen.push(request);
    if (current?.(request, response) === true) return;
    const { host: _, connection: __, 'transfer-encoding': ___, ...rest } = request.headers;
    const onward = httpRequest(
      `${target()}${request.path}`,
      { method: request.method, headers: { ...rest, ...(await headers()), 'content-length': String(request.body.length) } },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    onward.on('error', () => response.destroy());
    onward.end(request.body);
  };
  const server = createServer((incoming, response) => void handle(incoming, response).catch(() => response.destroy()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    fault: (fault) => void (current = fault),
    underWay: () => underWay,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Answers calls, but not looks, with this status and JSON. */
export function refusing(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Fault {
  return ({ method }, response) => {
    if (method !== 'POST') return false;
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
    return true;
  };
}

/** Takes calls, but not looks, and never answers. */
export const silent: Fault = ({ method }) => method === 'POST';

/** Ends every connection. */
export const gone: Fault = (_, response) => {
  response.destroy();
  return true;
};
