import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NotAnObject, setMember } from '#src/cli/setup/json-member.js';

type Json = Parameters<typeof setMember>[2];
const json = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>;
const object = fc.dictionary(fc.string(), json, { maxKeys: 5 });
const indents = fc.constantFrom(undefined, 1, 2, 4, '\t');

/** JSON.parse keeps `__proto__` as a property of its own; the oracle must too. */
function withMember(
  root: Record<string, Json>,
  [name, ...rest]: string[],
  value: Json,
): Record<string, Json> {
  const inner = Object.hasOwn(root, name!) ? (root[name!] as Record<string, Json>) : {};
  const next = rest.length === 0 ? value : withMember(inner, rest, value);
  const entries = new Map(Object.entries(root)).set(name!, next);
  return Object.fromEntries(entries);
}

describe('setMember', () => {
  test('gives what a parse, an assignment and a stringify would give, whatever the document and its layout', () => {
    fc.assert(
      fc.property(object, object, fc.string(), json, indents, (root, servers, name, value, indent) => {
        const document = { ...root, servers };
        const text = JSON.stringify(document, null, indent);
        const edited = setMember(text, ['servers', name], value);
        expect(JSON.parse(edited)).toEqual(
          JSON.parse(JSON.stringify(withMember(document, ['servers', name], value))),
        );
      }),
    );
  });

  test('makes the objects that are missing on the way', () => {
    fc.assert(
      fc.property(object, json, (root, value) => {
        fc.pre(!Object.hasOwn(root, 'servers'));
        const edited = setMember(JSON.stringify(root), ['servers', 'ours'], value);
        expect(JSON.parse(edited)).toEqual(
          JSON.parse(JSON.stringify(withMember(root, ['servers', 'ours'], value))),
        );
      }),
    );
  });

  test('leaves every byte outside the member as it was', () => {
    const before =
      '\ufeff{\r\n\t"big" : 12345678901234567890,\r\n\t"one":1.0, "10": 1, "9": "\\u0041\\/",\r\n\t"mcpServers":{\r\n\t\t"theirs":{"command":"x"}\r\n\t}\r\n}\r\n\r\n';
    const after = setMember(before, ['mcpServers', 'ours'], { command: 'npx' });
    expect(after).toBe(
      before.replace(
        '{"command":"x"}',
        '{"command":"x"},\r\n\t\t"ours": {\r\n\t\t\t"command": "npx"\r\n\t\t}',
      ),
    );
  });

  test('replaces the last of several members of one name, as parsers read that one', () => {
    expect(setMember('{"a": 1, "a": 2}', ['a'], 3)).toBe('{"a": 1, "a": 3}');
  });

  test('indents as the file does, and closes an empty object on a line of its own', () => {
    expect(setMember('{}\n', ['mcpServers', 'ours'], { args: [] })).toBe(
      '{\n  "mcpServers": {\n    "ours": {\n      "args": []\n    }\n  }\n}\n',
    );
    expect(setMember('{\n    "mcpServers": {}\n}', ['mcpServers', 'ours'], 1)).toBe(
      '{\n    "mcpServers": {\n        "ours": 1\n    }\n}',
    );
  });

  test('refuses to turn something else into an object', () => {
    for (const text of ['{"mcpServers": []}', '{"mcpServers": null}', '{"mcpServers": "{}"}']) {
      expect(() => setMember(text, ['mcpServers', 'ours'], 1)).toThrow(NotAnObject);
    }
  });
});
