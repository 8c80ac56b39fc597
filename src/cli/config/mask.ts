/**
 * What of a configuration may go into a backup, which may lie anywhere: values that are known to be none of a secret. Of everything else only the name goes
 * along, so that whoever sets a machine up again knows what is to be put in.
 */

import type { JsonValue } from '../../domain/model.js';
import { findSecret } from '../../domain/secrets.js';
import { VARIABLES } from '../../variables.js';
import { isObject, type JsonObject } from '../setup/configure.js';

/** Stands in place of a value that was not saved. */
export const NOT_SAVED = '(not saved)';

/** A key; a URL whose path is often all that protects it; arguments of a program, which may be anything. */
const SECRET_VARIABLES: readonly string[] = [
  'VECTOR_EMBEDDER_KEY',
  'VECTOR_ALERT_WEBHOOK',
  'VECTOR_ALERT_COMMAND',
];
const PLAIN_VARIABLES: ReadonlySet<string> = new Set(
  VARIABLES.map(({ name }) => name).filter(name => !SECRET_VARIABLES.includes(name)),
);
/** Members of a client's entry that say how a server is started and which of its tools may be called. */
const PLAIN_MEMBERS: ReadonlySet<string> = new Set([
  'type',
  'command',
  'args',
  'cwd',
  'alwaysAllow',
  'autoApprove',
  'disabledTools',
  'disabled_tools',
  'enabled_tools',
]);

/** The value of an environment variable, or NOT_SAVED. */
export const savedVariable = (name: string, value: string): string =>
  PLAIN_VARIABLES.has(name) ? savedText(value) : NOT_SAVED;

/** A client's entry for this program, secrets left out. */
export function savedEntry(entry: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(entry).map(([name, value]) => {
      if (name === 'env' && isObject(value)) return [name, savedEnv(value)];
      return [name, PLAIN_MEMBERS.has(name) ? savedMember(value) : savedScalar(value)];
    }),
  );
}

const savedEnv = (env: JsonObject): JsonObject =>
  Object.fromEntries(
    Object.entries(env).map(([name, value]) => [
      name,
      typeof value === 'string' ? savedVariable(name, value) : NOT_SAVED,
    ]),
  );

/** Switches and time-outs. */
const savedScalar = (value: JsonValue): JsonValue =>
  typeof value === 'number' || typeof value === 'boolean' ? value : NOT_SAVED;

function savedMember(value: JsonValue): JsonValue {
  if (typeof value === 'string') return savedText(value);
  if (!Array.isArray(value) || !value.every(part => typeof part === 'string')) return savedScalar(value);
  return value.map((part, i) => (NAMES_SECRET.test(value[i - 1] ?? '') ? NOT_SAVED : savedText(part)));
}

/** `--api-key`, behind which the key stands. */
const NAMES_SECRET = /^-.*(?:key|token|secret|passw|auth)[^=:\s]*$/i;
/** `API_KEY=…`, `Authorization: …` */
const ASSIGNS_SECRET = /(?:key|token|secret|passw|auth)[\w-]*["']?\s*[=:]/i;
/** A user's name in a URL, or a query, in which keys are sent too. */
const URL_WITH_MORE = /\b[a-z][a-z0-9+.-]*:\/\/(?:[^/\s]*@|\S*\?)/i;

const savedText = (text: string): string =>
  ASSIGNS_SECRET.test(text) || URL_WITH_MORE.test(text) || findSecret(text) !== undefined ? NOT_SAVED : text;
