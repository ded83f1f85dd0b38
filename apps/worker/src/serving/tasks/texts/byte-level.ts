// Runs in the thread of a tokenizer: imports nothing of the platform.

/** Byte-level tokenizers write each byte as one character: these as themselves, the others from 256 on in their order. */
const WRITTEN_AS_THEMSELVES = [
  [0x21, 0x7e],
  [0xa1, 0xac],
  [0xae, 0xff],
] as const;

const BYTE_OF = new Map<string, number>();
let next = 256;
for (let byte = 0; byte < 256; byte++) {
  const isItself = WRITTEN_AS_THEMSELVES.some(([first, last]) => byte >= first && byte <= last);
  BYTE_OF.set(String.fromCharCode(isItself ? byte : next++), byte);
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** The text of a word whose bytes are written as characters. */
export function textOfBytes(word: string): string {
  return utf8.decode(Uint8Array.from(word, (character) => BYTE_OF.get(character) ?? 0));
}
