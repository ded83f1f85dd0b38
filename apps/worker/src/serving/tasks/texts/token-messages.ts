// What travels between the accepting thread and the thread of a tokenizer. Plain data.

/** What the thread is started with. */
export interface TokenizerSource {
  readonly tokenizerFile: string;
  readonly tokenizerConfigFile: string | null;
  readonly maxTokens: number;
}

export type TokenRequest =
  | { readonly kind: 'encode'; readonly call: number; readonly texts: readonly string[]; readonly withOffsets: boolean }
  | { readonly kind: 'give-up'; readonly call: number }
  /** Answered at once by a thread that still takes turns. */
  | { readonly kind: 'ping' };

/** Texts as token ids, one after the other. */
export interface TokenBlock {
  /** Tokens of each text. */
  readonly lengths: Int32Array;
  readonly ids: Int32Array;
  /** First and last (exclusive) UTF-16 unit of each token in its text, -1 for special ones; null when they were not asked for. */
  readonly offsets: Int32Array | null;
}

export type TokenReply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'encoded'; readonly call: number; readonly block: TokenBlock }
  /** Without a call: the files are no tokenizer that is known. */
  | { readonly kind: 'failed'; readonly call: number | null; readonly problem: string }
  | { readonly kind: 'pong' };
