/** What a token classifier says of one token. */
export interface ClassifiedToken {
  /** As the model names it, often with `B-` or `I-` in front. */
  readonly label: string;
  readonly score: number;
  /** First and last (exclusive) UTF-16 unit in the text. */
  readonly start: number;
  readonly end: number;
}

/** A name, a place …: what tokens that belong together stand for. */
export interface Entity extends ClassifiedToken {
  /** Without `B-` and `I-`. */
  readonly label: string;
}

/** Of tokens that are nothing in particular. */
const OUTSIDE = 'O';

/** Letters, digits and marks of scripts that put space between words. */
const WORD_CHARACTER = /^[[\p{L}\p{N}\p{M}]--[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Thai}\p{scx=Laoo}\p{scx=Khmr}\p{scx=Mymr}]]$/v;

/**
 * Joins tokens of one kind that follow each other, as transformers' pipeline does with the strategy `simple`: `B-` begins another
 * one, a label without `B-` or `I-` goes on with its like. The score is the mean of the tokens'.
 */
export function entitiesOf(tokens: readonly ClassifiedToken[]): Entity[] {
  const groups: { readonly kind: string; readonly tokens: ClassifiedToken[] }[] = [];
  for (const token of tokens) {
    const [, prefix, kind = token.label] = /^([BI])-(.*)$/s.exec(token.label) ?? [];
    const last = groups.at(-1);
    if (last?.kind === kind && prefix !== 'B') last.tokens.push(token);
    else groups.push({ kind, tokens: [token] });
  }
  return groups
    .filter(({ kind }) => kind !== OUTSIDE)
    .map(({ kind, tokens: members }) => ({
      label: kind,
      score: members.reduce((sum, { score }) => sum + score, 0) / members.length,
      start: members[0]?.start ?? 0,
      end: members.at(-1)?.end ?? 0,
    }));
}

/** Lets the first token of each word speak for the word, as transformers' strategy `first` does. */
export function wordsOf(tokens: readonly ClassifiedToken[], text: string): ClassifiedToken[] {
  const words: ClassifiedToken[] = [];
  for (const token of tokens) {
    const last = words.at(-1);
    if (last !== undefined && continues(text, last.end, token.start)) words[words.length - 1] = { ...last, end: token.end };
    else words.push(token);
  }
  return words;
}

/** Does a token that begins here go on with the word before it? */
function continues(text: string, end: number, start: number): boolean {
  if (start < end) return true;
  const before = Array.from(text.slice(Math.max(0, start - 2), start)).at(-1) ?? '';
  const after = String.fromCodePoint(text.codePointAt(start) ?? 0);
  return start === end && WORD_CHARACTER.test(before) && WORD_CHARACTER.test(after);
}
