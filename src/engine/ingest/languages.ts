import { basename, extname } from 'node:path';
import type { DocumentFormat } from './documents/document.js';

export type DocumentKind = 'markdown' | 'text' | 'code' | DocumentFormat;

const markdown = new Set(['.md', '.markdown', '.mdown', '.mkd', '.mdx', '.mdc']);

const languages: Record<string, string> = {
  '.ts': 'typescript',
  '.tsx': 'typescript',
  '.mts': 'typescript',
  '.cts': 'typescript',
  '.js': 'javascript',
  '.jsx': 'javascript',
  '.mjs': 'javascript',
  '.cjs': 'javascript',
  '.py': 'python',
  '.pyi': 'python',
  '.rb': 'ruby',
  '.php': 'php',
  '.pl': 'perl',
  '.pm': 'perl',
  '.lua': 'lua',
  '.go': 'go',
  '.rs': 'rust',
  '.c': 'c',
  '.h': 'c',
  '.cc': 'cpp',
  '.cpp': 'cpp',
  '.cxx': 'cpp',
  '.hpp': 'cpp',
  '.hh': 'cpp',
  '.cs': 'csharp',
  '.java': 'java',
  '.kt': 'kotlin',
  '.kts': 'kotlin',
  '.scala': 'scala',
  '.groovy': 'groovy',
  '.gradle': 'groovy',
  '.swift': 'swift',
  '.m': 'objective-c',
  '.mm': 'objective-c',
  '.dart': 'dart',
  '.zig': 'zig',
  '.nim': 'nim',
  '.jl': 'julia',
  '.r': 'r',
  '.hs': 'haskell',
  '.ml': 'ocaml',
  '.mli': 'ocaml',
  '.fs': 'fsharp',
  '.ex': 'elixir',
  '.exs': 'elixir',
  '.erl': 'erlang',
  '.clj': 'clojure',
  '.lisp': 'lisp',
  '.el': 'lisp',
  '.scm': 'scheme',
  '.sh': 'shell',
  '.bash': 'shell',
  '.zsh': 'shell',
  '.fish': 'shell',
  '.ps1': 'powershell',
  '.bat': 'batch',
  '.sql': 'sql',
  '.graphql': 'graphql',
  '.proto': 'protobuf',
  '.vue': 'vue',
  '.svelte': 'svelte',
  '.astro': 'astro',
  '.css': 'css',
  '.scss': 'scss',
  '.less': 'less',
  '.xml': 'xml',
  '.svg': 'xml',
  '.json': 'json',
  '.jsonc': 'json',
  '.json5': 'json',
  '.yaml': 'yaml',
  '.yml': 'yaml',
  '.toml': 'toml',
  '.ini': 'ini',
  '.cfg': 'ini',
  '.conf': 'ini',
  '.tf': 'terraform',
  '.hcl': 'terraform',
  '.nix': 'nix',
  '.cmake': 'cmake',
  '.mk': 'make',
  '.vim': 'vim',
  '.asm': 'assembly',
  '.s': 'assembly',
  '.sol': 'solidity',
  '.diff': 'diff',
  '.patch': 'diff',
};

const languagesByName: Record<string, string> = {
  dockerfile: 'dockerfile',
  containerfile: 'dockerfile',
  makefile: 'make',
  gnumakefile: 'make',
  justfile: 'make',
  rakefile: 'ruby',
  gemfile: 'ruby',
  vagrantfile: 'ruby',
  jenkinsfile: 'groovy',
  'cmakelists.txt': 'cmake',
};

/** Formats whose text has to be taken out of them. */
const formats: Record<string, DocumentFormat> = {
  '.html': 'html',
  '.htm': 'html',
  '.xhtml': 'html',
  '.pdf': 'pdf',
  '.docx': 'docx',
};

/** Tables and journals: a line is a record, and sentences mean nothing. */
const records = new Set(['.csv', '.tsv', '.log', '.jsonl', '.ndjson']);

/** The format whose text has to be taken out of it, judged by the file's name; undefined for files that are text. */
export function documentFormat(path: string): DocumentFormat | undefined {
  return formats[extname(path).toLowerCase()];
}

/** How a file is to be cut, judged by its name: what is not known as Markdown, code or a document's format is plain text. */
export function documentKind(path: string): {
  readonly kind: DocumentKind;
  readonly language?: string;
  /** For text: every line stands for itself. */
  readonly records: boolean;
} {
  const name = basename(path).toLowerCase();
  const extension = extname(name);
  if (markdown.has(extension)) return { kind: 'markdown', records: false };
  const format = formats[extension];
  if (format !== undefined) return { kind: format, records: false };
  const language = languagesByName[name] ?? languages[extension];
  if (language !== undefined) return { kind: 'code', language, records: false };
  return { kind: 'text', records: records.has(extension) };
}
