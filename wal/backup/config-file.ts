import { join } from 'node:path';
import { makeDirectory } from '../directory.js';
import { WalError } from '../errors.js';
import { exists } from '../exists.js';
import { readText } from '../read-text.js';
import { sha256Of, writeWhole } from './sealed.js';

/** In a directory of backups: configurations that were taken along, each under the SHA-256 of what is in it. */
export const CONFIG = 'config';

export const isConfigName = (name: string): boolean => /^[0-9a-f]{64}\.json$/.test(name);

/** A configuration as a manifest names it. What is in it is its writer's affair. */
export interface ConfigFile {
  /** In `config/`. */
  readonly file: string;
  readonly sizeBytes: number;
  /** Of the file, hex. */
  readonly sha256: string;
}

/** Writes a configuration, unless it is there just so. */
export async function writeConfig(dir: string, text: string): Promise<ConfigFile> {
  const sha256 = sha256Of(text);
  const config = { file: `${sha256}.json`, sizeBytes: Buffer.byteLength(text), sha256 };
  makeDirectory(join(dir, CONFIG));
  if (configProblem(dir, config) !== undefined) await writeWhole(join(dir, CONFIG, config.file), text);
  return config;
}

/** What is wrong with a configuration; undefined where it is what was written. */
export function configProblem(dir: string, config: ConfigFile): WalError | undefined {
  const path = join(dir, CONFIG, config.file);
  if (!exists(path)) return damaged(config, 'it is missing');
  return sha256Of(readText(path)) === config.sha256
    ? undefined
    : damaged(config, 'it does not match its sha256');
}

/** @throws WalError BACKUP_DAMAGED */
export function readConfig(dir: string, config: ConfigFile): string {
  const problem = configProblem(dir, config);
  if (problem !== undefined) throw problem;
  return readText(join(dir, CONFIG, config.file));
}

const damaged = ({ file }: ConfigFile, what: string): WalError =>
  new WalError(
    'BACKUP_DAMAGED',
    `${CONFIG}/${file}: ${what}`,
    'The records can be restored all the same. Take the configuration from another backup, and along with the next one: backup --with-config.',
    { details: { file } },
  );
