import { readFileSync, writeFileSync } from 'node:fs';
import { readEnvironment } from './environment.ts';

/**
 * For a spec: fails unless the part of a document between its two marks is this content. With WEIR_UPDATE_DOCS=1 it writes it.
 *
 * @param name of the part, as its marks have it: `<!-- name: written by … -->` and `<!-- end of name -->`
 */
export function expectSectionIsCurrent(document: URL, name: string, content: string): void {
  const begin = `<!-- ${name}: written by WEIR_UPDATE_DOCS=1 npx vitest run --project unit, from the definitions -->`;
  const end = `<!-- end of ${name} -->`;
  const text = readFileSync(document, 'utf8');
  const [before, rest = ''] = text.split(begin);
  const [, after] = rest.split(end);
  if (before === undefined || after === undefined) throw new Error(`${document.pathname} needs the lines ${begin} and ${end}`);
  const current = `${before}${begin}\n\n${content}\n\n${end}${after}`;
  if (readEnvironment()['WEIR_UPDATE_DOCS'] === '1') writeFileSync(document, current);
  else if (text !== current)
    throw new Error(
      `the ${name} in ${document.pathname} are not those of the code: run the spec with WEIR_UPDATE_DOCS=1 and commit the change`,
    );
}

/** As prettier writes tables, so that the check of formats and this one agree. The first row is the head. */
export function markdownTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[], filler = ' '): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0, filler)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  const rule = line(
    head.map(() => ''),
    '-',
  );
  return [line(head), rule, ...body.map((row) => line(row))].join('\n');
}
