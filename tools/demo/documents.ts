import { cpSync, existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';

/** Direct dependencies whose Markdown is worth reading; what a package brings along in its own node_modules is not. */
const PACKAGES = [
  'abstract-level',
  'classic-level',
  'fast-check',
  'hnswlib-node',
  'ignore',
  'level',
  'pino',
  'xxhash-wasm',
  '@modelcontextprotocol/client',
  '@modelcontextprotocol/server',
];

/** Each chunk is embedded, which takes a small machine some milliseconds: the demo shall end within a minute. */
const MAX_FILE_BYTES = 18_000;

/**
 * Copies the project's own Markdown and that of its dependencies into one folder: node_modules is in .gitignore, which
 * ingest obeys.
 * @returns the number of files
 */
export function gatherDocuments(projectRoot: string, target: string): number {
  const sources = [
    ...markdownIn(projectRoot, false).map(file => [file, join('mcp-vector-server', file)] as const),
    ...['docs', 'wal'].flatMap(folder =>
      markdownIn(join(projectRoot, folder), true).map(
        file => [join(folder, file), join('mcp-vector-server', folder, file)] as const,
      ),
    ),
    ...PACKAGES.flatMap(name =>
      markdownIn(join(projectRoot, 'node_modules', name), true).map(
        file => [join('node_modules', name, file), join(name, file)] as const,
      ),
    ),
  ];
  for (const [from, to] of sources) {
    cpSync(join(projectRoot, from), join(target, to), { recursive: true });
  }
  return sources.length;
}

function markdownIn(folder: string, recursive: boolean): string[] {
  if (!existsSync(folder)) return [];
  return (readdirSync(folder, { recursive }) as string[]).filter(
    file =>
      /\.md$/i.test(file) &&
      !/^(CHANGELOG|LICENSE)/i.test(file) &&
      !dirname(file).split(sep).includes('node_modules') &&
      statSync(join(folder, file)).size <= MAX_FILE_BYTES,
  );
}
