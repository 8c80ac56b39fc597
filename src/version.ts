import { readFileSync } from 'node:fs';

/** The version in package.json, which is the only place where it stands. Same relative path in a checkout and in the package. */
export const VERSION = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
