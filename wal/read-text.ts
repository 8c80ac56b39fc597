import { readFileSync } from 'node:fs';

/** A whole file as text. Node's own reading of text ends the process where the file cannot be closed. */
export const readText = (path: string, encoding: 'utf8' | 'latin1' = 'utf8'): string =>
  readFileSync(path).toString(encoding);
