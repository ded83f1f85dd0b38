import { createHash } from 'node:crypto';
import type { FastifyReply } from 'fastify';

const STYLE = `
:root { color-scheme: light dark; }
body { font: 1rem/1.6 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; }
h1 { line-height: 1.2; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: .8rem 1rem; border: 1px solid #8885; border-radius: .4rem; font-size: .85rem; }
table { border-collapse: collapse; }
td { padding: .2rem 1.2rem .2rem 0; vertical-align: top; }
`;

/** Nothing but our own style: no script, no picture, no frame, nowhere to send a form. */
const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** A page of plain HTML. @param body trusted markup; whatever comes from elsewhere goes through `escaped` first */
export function sendPage(reply: FastifyReply, title: string, body: string): FastifyReply {
  return reply
    .headers({ 'content-type': 'text/html; charset=utf-8', 'content-security-policy': PAGE_POLICY, 'cache-control': 'no-store' })
    .send(
      `<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n<title>${escaped(title)}</title>\n<style>${STYLE}</style>\n</head>\n<body>\n${body}\n</body>\n</html>\n`,
    );
}

/** Text as it may stand in HTML. */
export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** Address that the reader uses: what the operator set, or what the browser asked for. */
export function addressOf(publicUrl: string | undefined, protocol: string, host: string): string {
  return (publicUrl ?? `${protocol}://${host}`).replace(/\/$/, '');
}
