import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Money } from '@weir/kernel';
import { callGraph } from '../seed/graph-client.ts';

/** A call of the demonstration, as it was answered. */
export interface AnsweredCall {
  readonly model: string;
  readonly version: string;
  readonly receiptId: string;
  readonly cost: Money;
  readonly usage: readonly { readonly meter: string; readonly quantity: string }[];
  readonly latencyMs: number;
  readonly output: { readonly labels: readonly { readonly label: string; readonly score: number }[] };
}

const INFER = `mutation ($input: InferInput!) {
  infer(input: $input) {
    model version receiptId latencyMs
    cost { amount currency }
    usage { meter quantity }
    output { ... on Classification { labels { label score } } }
  }
}`;

/** What is asked, and what a good model says. */
export const QUESTIONS = [
  { model: 'digits', shown: 'a PNG of a handwritten 7', image: 'models/digits/examples/seven.png', expected: '7' },
  {
    model: 'sentiment',
    shown: '“I love this phone, the battery lasts for days.”',
    text: 'I love this phone, the battery lasts for days.',
    expected: 'POSITIVE',
  },
] as const;

export type Question = (typeof QUESTIONS)[number];

/** Sends one question through GraphQL, as a client would. */
export async function ask(url: string, apiKey: string, question: Question, root: string): Promise<AnsweredCall> {
  const input =
    'image' in question ? { image: { base64: readFileSync(path.join(root, question.image)).toString('base64') } } : { text: question.text };
  const { infer } = await callGraph<{ infer: AnsweredCall }>({
    url: `${url}/graphql`,
    headers: { authorization: `Bearer ${apiKey}` },
    document: INFER,
    variables: { input: { model: question.model, input } },
  });
  return infer;
}
