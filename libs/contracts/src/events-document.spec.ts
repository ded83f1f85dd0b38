import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { eventsDocument, contractComments } from './events-document.ts';
import { ALL_TOPICS } from './topics.ts';

const here = new URL('.', import.meta.url);
const sources = readdirSync(here)
  .filter((name) => name.endsWith('.ts') && !name.includes('.spec.') && !name.startsWith('events-document'))
  .map((name) => readFileSync(new URL(name, here), 'utf8'));
const DOCUMENT = new URL('../../../docs/events.md', here);

describe('docs/events.md', () => {
  const document = eventsDocument(contractComments(sources));

  it('is what the contracts say', () => {
    if (process.env['WEIR_UPDATE_DOCS'] === '1') writeFileSync(DOCUMENT, document);
    expect(readFileSync(DOCUMENT, 'utf8')).toBe(document);
  });

  it('names every topic, and every event with its fields, their types and their meaning', () => {
    for (const topic of ALL_TOPICS) expect(document).toContain(`| \`${topic.name}\` |`);
    expect(document).toContain('A session ended before its token expires. In `auth.sessions`');
    expect(document).toContain('| `id` | id | `kid` of the tokens that it signed. |');
    expect(document).toContain('| `latencyMs` | number (0 or more) | From the request');
    expect(document).toContain('### `inference.usage.recorded.v1`');
    expect(document).toContain('| `quantities[].meter` | `requests`, `inputs`, `input-tokens`, `audio-seconds` |');
    expect(document).toContain('| `digest` | SHA-256 | SHA-256 of the whole key; the key itself is nowhere. |');
    expect(document).toContain('| `limits.requestsPerMinute` | integer (1 or more) or null | Calls a minute; null means the platform');
  });
});
