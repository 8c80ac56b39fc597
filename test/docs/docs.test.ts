import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatVersions } from '#src/engine/ingest/documents/document.js';
import {
  maxDocumentBytes,
  maxInflatedBytes,
  maxPages,
  maxProcessBytes,
  maxReadMs,
  maxTextChars,
} from '#src/engine/ingest/documents/limits.js';
import { maxFileBytes } from '#src/engine/ingest/read-file.js';
import { VARIABLES } from '#src/variables.js';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

describe('the documentation says the same as the code', () => {
  it('lists every error code', () => {
    const declared = ['src/domain/errors.ts', 'wal/errors.ts'].flatMap(path =>
      [...read(path).matchAll(/^ {2}\| '([A-Z_]+)'/gm)].map(match => match[1]),
    );
    expect(declared.length).toBeGreaterThan(40);
    const documented = new Set([...read('docs/errors.md').matchAll(/`([A-Z_]+)`/g)].map(match => match[1]));
    expect(declared.filter(code => !documented.has(code))).toEqual([]);
  });

  it('lists every variable in README.md', () => {
    const readme = read('README.md');
    for (const { name, defaultValue, meaning } of VARIABLES)
      expect(readme).toContain(`| \`${name}\` | ${defaultValue} | ${meaning} |`);
  });

  it('gives the bounds of documents that are read', () => {
    const mib = (bytes: number) => `${bytes / 1024 / 1024} MiB`;
    const text = read('docs/documents.md');
    for (const bytes of [...Object.values(maxDocumentBytes), maxInflatedBytes, maxProcessBytes, maxFileBytes])
      expect(text).toContain(mib(bytes));
    expect(text).toContain(`${maxPages / 1000} 000 pages`);
    expect(text).toContain(`${maxTextChars / 1024 / 1024} million characters`);
    expect(text).toContain(`not read within ${maxReadMs / 1000} s`);
    for (const format of Object.keys(formatVersions)) expect(text.toLowerCase()).toContain(format);
  });

  it('names only commands that exist', () => {
    const scripts = Object.keys(JSON.parse(read('package.json')).scripts);
    const named = [
      'README.md',
      'docs/design.md',
      'docs/errors.md',
      'docs/reliability.md',
      'CONTRIBUTING.md',
    ].flatMap(path => [...read(path).matchAll(/(?:^|[`&] ?)npm run ([a-z:]+)/gm)].map(match => match[1]));
    expect(named.filter(name => !scripts.includes(name))).toEqual([]);
  });

  it('links only to files that are there', () => {
    for (const path of ['README.md', 'docs/design.md', 'docs/errors.md', 'docs/mcp.md'])
      for (const [, target] of read(path).matchAll(/\]\((?!http)([^)#]+)(?:#[^)]*)?\)/g))
        expect(() => read(join(dirname(path), target!)), `${path}: ${target}`).not.toThrow();
  });
});
