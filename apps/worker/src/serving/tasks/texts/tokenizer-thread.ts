import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { Turns } from '../turns.ts';
import { TokenEncoder, type EncodedText } from './token-encoder.ts';
import type { TokenBlock, TokenizerSource, TokenReply, TokenRequest } from './token-messages.ts';

// The thread of one tokenizer. Large vocabularies take most of a second to read, a hostile text as long to divide, and a
// hostile pattern for ever: here none of it holds up the callers of other models. Nothing of the platform is loaded here.

const port = parentPort;
if (port === null) throw new Error('tokenizer-thread runs as a worker thread only');

const reply = (message: TokenReply, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer);
const calls = new Map<number, AbortController>();

try {
  const encoder = encoderOf(workerData as TokenizerSource);
  port.on('message', (request: TokenRequest) => {
    switch (request.kind) {
      case 'encode':
        void answer(encoder, request);
        break;
      case 'give-up':
        calls.get(request.call)?.abort(new Error('given up'));
        break;
      case 'ping':
        reply({ kind: 'pong' });
        break;
    }
  });
  reply({ kind: 'ready' });
} catch (error) {
  reply({ kind: 'failed', call: null, problem: problemOf(error) });
}

function encoderOf({ tokenizerFile, tokenizerConfigFile, maxTokens }: TokenizerSource): TokenEncoder {
  return new TokenEncoder(json(tokenizerFile), tokenizerConfigFile === null ? {} : json(tokenizerConfigFile), maxTokens);
}

function json(file: string): object {
  const content: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (typeof content !== 'object' || content === null) throw new Error('it is not a JSON object');
  return content;
}

async function answer(encoder: TokenEncoder, { call, texts, withOffsets }: Extract<TokenRequest, { kind: 'encode' }>): Promise<void> {
  const giveUp = new AbortController();
  calls.set(call, giveUp);
  try {
    const turns = new Turns(giveUp.signal);
    const encoded: EncodedText[] = [];
    for (const text of texts) encoded.push(await encoder.encode(text, withOffsets, turns));
    const block = blockOf(encoded, withOffsets);
    reply({ kind: 'encoded', call, block }, buffersOf(block));
  } catch (error) {
    if (!giveUp.signal.aborted) reply({ kind: 'failed', call, problem: problemOf(error) });
  } finally {
    calls.delete(call);
  }
}

function blockOf(encoded: readonly EncodedText[], withOffsets: boolean): TokenBlock {
  return {
    lengths: Int32Array.from(encoded, ({ ids }) => ids.length),
    ids: Int32Array.from(encoded.flatMap(({ ids }) => ids)),
    offsets: withOffsets ? Int32Array.from(encoded.flatMap(({ offsets }) => offsets)) : null,
  };
}

function buffersOf({ lengths, ids, offsets }: TokenBlock): ArrayBuffer[] {
  return [lengths, ids, offsets].map((numbers) => numbers?.buffer).filter((buffer) => buffer instanceof ArrayBuffer);
}

function problemOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
