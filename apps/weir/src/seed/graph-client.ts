import { request } from 'undici';

const TIMEOUT_MS = 30_000;

/** An error that a service answered with; `code` is one of the error table. */
export class GraphError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(`${message} (${code})`);
    this.name = 'GraphError';
    this.code = code;
  }
}

export interface GraphCall {
  /** Address of the GraphQL endpoint. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly document: string;
  readonly variables?: Readonly<Record<string, unknown>>;
  readonly signal?: AbortSignal | undefined;
}

interface GraphAnswer {
  readonly data?: Record<string, unknown> | null;
  readonly errors?: readonly { readonly message: string; readonly extensions?: { readonly code?: string } }[];
}

/** Sends one GraphQL request and returns its data. @throws GraphError with the code of the first error */
export async function callGraph<T>({ url, headers, document, variables, signal }: GraphCall): Promise<T> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const answer = await request(url, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json', accept: 'application/graphql-response+json' },
    body: JSON.stringify({ query: document, variables }),
    signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
  });
  const body = parse(await answer.body.text(), answer.statusCode);
  const error = body.errors?.[0];
  if (error !== undefined) throw new GraphError(error.extensions?.code ?? 'graphql.invalid', error.message);
  if (body.data === undefined || body.data === null)
    throw new GraphError('service.unavailable', `${new URL(url).host} answered ${answer.statusCode} without data`);
  return body.data as T;
}

function parse(text: string, statusCode: number): GraphAnswer {
  try {
    const body = JSON.parse(text) as GraphAnswer & { error?: { code?: string; message?: string } };
    // Refusals before GraphQL (no token, too large) have the error body of plain HTTP.
    if (body.error !== undefined)
      return {
        errors: [{ message: body.error.message ?? `status ${statusCode}`, extensions: { code: body.error.code ?? 'internal.error' } }],
      };
    return body;
  } catch {
    return { errors: [{ message: `an answer with status ${statusCode} that is not JSON`, extensions: { code: 'service.unavailable' } }] };
  }
}
