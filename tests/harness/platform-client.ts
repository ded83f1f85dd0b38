/** What a GraphQL request came back with. */
export interface GraphAnswer<T> {
  readonly status: number;
  readonly headers: Headers;
  readonly data?: T | null;
  readonly errors?: readonly {
    readonly message: string;
    readonly path?: readonly (string | number)[];
    readonly extensions: Readonly<Record<string, unknown>>;
  }[];
  /** The body as it came. */
  readonly text: string;
}

export interface InferAnswer {
  readonly receiptId: string;
  readonly output: { readonly labels: readonly { readonly label: string; readonly score: number }[] };
  readonly usage: readonly { readonly meter: string; readonly quantity: string }[];
  readonly cost: { readonly amount: string; readonly currency: string };
}

const INFER = `mutation ($input: InferInput!) {
  infer(input: $input) { receiptId output { ... on Classification { labels { label score } } } usage { meter quantity } cost { amount currency } }
}`;

/** A user's program: talks to the public address alone. */
export class PlatformClient {
  readonly url: string;
  readonly #credential: string | undefined;

  constructor(url: string, credential?: string) {
    this.url = url;
    this.#credential = credential;
  }

  static async signIn(url: string, email: string, password: string): Promise<PlatformClient> {
    const answer = await fetch(`${url}/auth/sign-in`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email, password }),
    });
    if (answer.status !== 200) throw new Error(`sign-in answered ${answer.status}: ${await answer.text()}`);
    const { token } = (await answer.json()) as { token: string };
    return new PlatformClient(url, token);
  }

  async graph<T>(query: string, variables: Record<string, unknown> = {}): Promise<GraphAnswer<T>> {
    const answer = await this.fetch('/graphql', {
      method: 'POST',
      headers: { accept: 'application/graphql-response+json', 'content-type': 'application/json' },
      body: JSON.stringify({ query, variables }),
    });
    const text = await answer.text();
    const body = JSON.parse(text) as Pick<GraphAnswer<T>, 'data' | 'errors'>;
    return { ...body, status: answer.status, headers: answer.headers, text };
  }

  /** The data of a request that must succeed. */
  async data<T>(query: string, variables: Record<string, unknown> = {}): Promise<T> {
    const answer = await this.graph<T>(query, variables);
    if (answer.errors !== undefined || answer.data === undefined || answer.data === null)
      throw new Error(`GraphQL answered ${answer.status}: ${answer.text}`);
    return answer.data;
  }

  async infer(model: string, input: Record<string, unknown>): Promise<InferAnswer> {
    return (await this.data<{ infer: InferAnswer }>(INFER, { input: { model, input } })).infer;
  }

  /** Code of the error of an `infer` that must fail. */
  async inferError(model: string, input: Record<string, unknown>): Promise<string> {
    const answer = await this.graph(INFER, { input: { model, input } });
    return String(answer.errors?.[0]?.extensions['code']);
  }

  /** The Open Inference Protocol. */
  openInfer(model: string, body: unknown): Promise<Response> {
    return this.fetch(`/v2/models/${encodeURIComponent(model)}/infer`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.#credential !== undefined) headers.set('authorization', `Bearer ${this.#credential}`);
    return fetch(`${this.url}${path}`, { ...init, headers });
  }
}

export const aText = (text: string): { inputs: unknown[] } => ({ inputs: [{ name: 'text', shape: [1], datatype: 'BYTES', data: [text] }] });
