import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { elementsOf, membersOf, parsed, withReplaced } from './json-spans.ts';

const whole = (json: Buffer) => ({ start: 0, end: json.length });
const spaced = fc.constantFrom(undefined, 2, '\t');

describe('finding values in JSON', () => {
  it('finds the members of any object, each as it would be read', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ maxDepth: 5 }), { maxKeys: 6 }), spaced, (object, indent) => {
        const json = Buffer.from(JSON.stringify(object, null, indent));
        const found = [...membersOf(json, whole(json))].map(([name, span]) => [name, parsed(json, span)]);
        expect(found).toEqual(Object.entries(JSON.parse(json.toString()) as object));
      }),
    );
  });

  it('finds the elements of any array', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue({ maxDepth: 5 })), spaced, (array, indent) => {
        const json = Buffer.from(JSON.stringify(array, null, indent));
        expect(elementsOf(json, whole(json)).map((span) => parsed(json, span))).toEqual(JSON.parse(json.toString()));
      }),
    );
  });

  it('replaces values in place and leaves every other byte as it was', () => {
    const json = Buffer.from('{ "a": [1, {"b": "}"}],\n "model": "x", "é": 9007199254740993 }');
    const members = membersOf(json, whole(json));
    const [a, model] = [members.get('a'), members.get('model')];
    if (a === undefined || model === undefined) throw new Error('they are there');
    expect(
      withReplaced(json, [
        { ...model, text: '"longer"' },
        { ...a, text: '0' },
      ]).toString(),
    ).toBe('{ "a": 0,\n "model": "longer", "é": 9007199254740993 }');
  });

  it.each([
    ['nothing', ''],
    ['no object', '[1]'],
    ['one that is not closed', '{"a": 1'],
    ['a text that is not closed', '{"a": "1}'],
    ['brackets that do not match', '{"a": [1}]}'],
    ['a name that is no text', '{a: 1}'],
    ['no value', '{"a": }'],
    ['no colon', '{"a" 1}'],
    ['no comma', '{"a": 1 "b": 2}'],
    ['a name that is given twice', '{"a": 1, "a": 2}'],
    ['a name that is given twice, spelled otherwise', '{"a": 1, "\\u0061": 2}'],
    ['more depth than any tensor has', `{"a": ${'['.repeat(100)}${']'.repeat(100)}}`],
  ])('refuses %s', (_, text) => {
    const json = Buffer.from(text);
    expect(() => membersOf(json, whole(json))).toThrow(SyntaxError);
  });

  it('does not look behind the end that it is given', () => {
    const json = Buffer.from('{"a": 1}');
    for (let end = 0; end < json.length; end++) expect(() => membersOf(json, { start: 0, end })).toThrow(SyntaxError);
  });
});
