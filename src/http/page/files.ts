/** The files of the page: a fixed list, read once. No path of a request is ever resolved. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

export interface PageFile {
  readonly type: string;
  readonly bytes: Buffer;
  /** Strong, as RFC 9110 has it. */
  readonly etag: string;
}

const LIST = {
  'index.html': 'text/html; charset=utf-8',
  'page.js': 'text/javascript; charset=utf-8',
  'page.css': 'text/css; charset=utf-8',
  'icon.svg': 'image/svg+xml',
} as const;

/** By the path they are asked for at, to the letter. `/login` is the page too: what follows its # stays in the browser. */
export function readPageFiles(): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>();
  for (const [name, type] of Object.entries(LIST)) {
    const bytes = readFileSync(new URL(`../../page/${name}`, import.meta.url));
    const etag = `"${createHash('sha256').update(bytes).digest('base64url')}"`;
    files.set(`/${name}`, { type, bytes, etag });
  }
  const page = files.get('/index.html')!;
  files.delete('/index.html');
  return files.set('/', page).set('/login', page);
}

/** What is sent with every answer of the page. Nothing but its own files runs, is shown or is asked, and nobody frames it. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'X-Frame-Options': 'DENY',
  'Permissions-Policy': 'camera=(), microphone=(), geolocation=()',
};
