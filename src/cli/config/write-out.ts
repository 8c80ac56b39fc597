import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { inspectTarget } from '../../../wal/new-store.js';
import { CodedError } from '../../domain/errors.js';
import { CLIENTS } from '../setup/clients.js';
import { isObject } from '../setup/configure.js';
import { setTable, type TomlValue } from '../setup/toml-table.js';
import type { SavedConfig, SavedEntry } from './collect.js';
import { NOT_SAVED } from './mask.js';

/** A file that was written, and which one its content is from. */
export interface WrittenOut {
  /** In the directory. */
  readonly file: string;
  readonly from: string;
}

/**
 * Writes a configuration from a backup out as files, for a person to look at and to copy from. Nothing else is touched: a client's configuration of today is the
 * user's.
 * @param dir must not exist, or be an empty directory
 * @throws WalError STORE_FOREIGN for a directory that holds something; CodedError CONFIG_INVALID for a configuration of a later version
 */
export function writeOutConfig(text: string, dir: string): readonly WrittenOut[] {
  const config = JSON.parse(text) as SavedConfig;
  if (config.format !== 1)
    throw new CodedError(
      'CONFIG_INVALID',
      `the configuration in the backup has format ${config.format}, this program reads 1`,
      'Take the version of the program that made the backup, or read the file: it is JSON.',
    );
  inspectTarget(dir);
  const written: WrittenOut[] = [];
  const write = (file: string, from: string, content: string) => {
    mkdirSync(join(dir, file, '..'), { recursive: true, mode: 0o700 });
    writeFileSync(join(dir, file), content, { flag: 'wx', mode: 0o600 });
    written.push({ file, from });
  };
  write('config.json', 'all of it', `${JSON.stringify(config, null, 2)}\n`);
  write('settings.env', 'the environment', settingsFile(config));
  for (const file of new Set(config.clients.map(entry => entry.file))) {
    const entries = config.clients.filter(entry => entry.file === file);
    const { client: id, scope } = entries[0]!;
    const { format } = CLIENTS.find(client => client.id === id)!;
    write(join('clients', `${id}-${scope}.${format}`), file, snippetOf(entries));
  }
  for (const [i, { file, text: rules }] of config.rules.entries())
    write(join('rules', `${i + 1}-${basename(file)}`), file, `${rules}\n`);
  return written;
}

/** As a shell takes it with `set -a; . settings.env`. */
function settingsFile({ store, settings }: SavedConfig): string {
  const lines = Object.entries({ VECTOR_DB_PATH: store, ...settings }).map(([name, value]) =>
    value === NOT_SAVED ? `# ${name}= was set; its value is not in the backup` : `${name}=${quoted(value)}`,
  );
  return `${lines.join('\n')}\n`;
}

const quoted = (value: string): string => `'${value.replaceAll("'", `'\\''`)}'`;

/** The entries of one file of a client, as they would stand in an otherwise empty one. */
function snippetOf(entries: readonly SavedEntry[]): string {
  const { format, section } = CLIENTS.find(({ id }) => id === entries[0]!.client)!;
  if (format === 'json') {
    const servers = Object.fromEntries(entries.map(({ name, entry }) => [name, entry]));
    return `${JSON.stringify({ [section]: servers }, null, 2)}\n`;
  }
  return entries.reduce((text, { name, entry }) => {
    const { env, ...keys } = entry;
    // One in a form that was not read is a text like any other.
    const ofItsOwn = isObject(env) ? (env as Record<string, string>) : undefined;
    const rest = ofItsOwn === undefined && env !== undefined ? { ...keys, env } : keys;
    const table = `${section}.${tableKey(name)}`;
    return setTable(text, table, rest as Record<string, TomlValue>, ofItsOwn);
  }, '');
}

/** Bare where TOML allows it. */
const tableKey = (name: string): string => (/^[\w-]+$/.test(name) ? name : JSON.stringify(name));
