/** Puts the server into a client's configuration text, and says whether it is there already. */
import { isDeepStrictEqual } from 'node:util';
import type { JsonValue } from '../../domain/model.js';
import type { Client } from './clients.js';
import { readText, unreadable } from './edit-file.js';
import { NotAnObject, setMember } from './json-member.js';
import type { ServerCommand } from './server-command.js';
import { hasTable, readKey, readTables, setTable, type TomlValue, UnsupportedToml } from './toml-table.js';

export type JsonObject = { [key: string]: JsonValue };

/** The snippet by itself, as it would stand in an otherwise empty file. */
export function snippet(client: Client, name: string, server: ServerCommand): string {
  return configure(client, name, server, undefined, '').trimEnd();
}

/**
 * The client's configuration with the server in it. What else stands there, stays; so do members of an earlier entry that
 * are none of ours (`disabled`, further variables in `env`).
 * @param text undefined for no file yet
 * @param path for errors
 * @returns the very same text where the server is there just so
 * @throws CodedError CONFIG_UNREADABLE rather than lose what it does not understand (JSON with comments, inline TOML tables)
 */
export function configure(
  client: Client,
  name: string,
  server: ServerCommand,
  text: string | undefined,
  path: string,
): string {
  return client.format === 'toml'
    ? configureToml(client, name, server, text ?? '', path)
    : configureJson(client, name, server, text, path);
}

function configureJson(
  client: Client,
  name: string,
  server: ServerCommand,
  text: string | undefined,
  path: string,
): string {
  const source = text === undefined || text.trim() === '' ? '{}\n' : text;
  const before = parseObject(source, path)[client.section];
  const existing = isObject(before) ? before[name] : undefined;
  const entry = client.entry(server);
  const merged = isObject(existing) ? { ...existing, ...entry } : entry;
  if (isObject(existing) && isObject(existing.env)) {
    merged.env = { ...existing.env, ...(isObject(entry.env) ? entry.env : {}) };
  }
  if (isDeepStrictEqual(existing, merged)) return source;
  try {
    return setMember(source, [client.section, name], merged);
  } catch (error) {
    if (error instanceof NotAnObject) throw unreadable(path, `${error.message} is not an object`, error);
    throw error;
  }
}

function configureToml(
  client: Client,
  name: string,
  server: ServerCommand,
  text: string,
  path: string,
): string {
  const { env, ...keys } = client.entry(server) as Record<string, TomlValue> & {
    env?: Record<string, string>;
  };
  const table = `${client.section}.${name}`;
  // A time-out that somebody raised is theirs.
  if (readKey(text, table, 'startup_timeout_sec') !== undefined) delete keys.startup_timeout_sec;
  try {
    return setTable(text, table, keys, env);
  } catch (error) {
    if (error instanceof UnsupportedToml) throw unreadable(path, error.message, error);
    throw error;
  }
}

/** The package's name, or the entry of a checkout, whatever its folder is called. Backslashes are doubled in JSON and TOML. */
const OURS = /mcp-vector-server|dist[\\/]+src[\\/]+cli[\\/]+main\.js/;

/** True where the client's file names a server that is started by this program. */
export function isConfigured(client: Client, path: string): boolean {
  const text = readText(path);
  if (text === undefined || text.trim() === '') return false;
  if (client.format === 'toml') {
    return OURS.test(text) && hasTableBelow(text, client.section);
  }
  return ownEntries(client, path).length > 0;
}

/** The entries of a client's file that start this program; none where there is no such file. @throws CodedError CONFIG_UNREADABLE */
export function ownEntries(
  client: Client,
  path: string,
): readonly { readonly name: string; readonly entry: JsonObject }[] {
  const text = readText(path);
  if (text === undefined || text.trim() === '') return [];
  const servers =
    client.format === 'toml' ? readTables(text, client.section) : parseObject(text, path)[client.section];
  if (!isObject(servers)) return [];
  return Object.entries(servers).flatMap(([name, entry]) =>
    isObject(entry) && OURS.test(JSON.stringify(entry)) ? [{ name, entry }] : [],
  );
}

function hasTableBelow(text: string, section: string): boolean {
  const names = [...text.matchAll(/^\s*\[\s*([^\]]+?)\s*\]/gm)].map(m => m[1]!);
  return names.some(name => name.startsWith(`${section}.`) && hasTable(text, name));
}

function parseObject(text: string, path: string): JsonObject {
  let parsed: JsonValue;
  try {
    parsed = JSON.parse(text.replace(/^\ufeff/, '')) as JsonValue;
  } catch (error) {
    const hint = /^\s*\/[/*]/m.test(text) ? ' (it holds comments, which an edit could lose)' : '';
    throw unreadable(path, `is not strict JSON${hint}: ${(error as Error).message}`, error);
  }
  if (!isObject(parsed)) throw unreadable(path, 'is JSON, but not an object');
  return parsed;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
