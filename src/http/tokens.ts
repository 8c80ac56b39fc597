/**
 * Bearer tokens, one file each in `tokens/` of the store: a file that appears or goes needs no lock, and two commands at once lose nothing.
 * Of the secret only its SHA-256 is kept: it is 32 random bytes, which nobody can guess, so that a slow hash would protect nothing.
 */
import { createHash, randomBytes } from 'node:crypto';
import { linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError } from '../domain/errors.js';
import { nearest } from '../domain/nearest.js';
import { privacyFault } from '../private-directory.js';
import { SCOPES, type Scope } from './scopes.js';

/** What is known of a token; never the token itself. */
export interface Token {
  readonly name: string;
  readonly scope: Scope;
  /** Lower-case hex. */
  readonly sha256: string;
  /** ISO 8601 in UTC. */
  readonly created: string;
  /** ISO 8601 in UTC; null for one that does not expire. */
  readonly expires: string | null;
}

const VERSION = 1;
const SECRET_BYTES = 32;
const SUFFIX = '.json';
/** A session's id and a file's name on every system. */
const NAME = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/;
/** So that scanners for leaked secrets, ours among them, know one when they see it. */
export const TOKEN_PREFIX = 'mvs_';
const TOKEN = /^mvs_[A-Za-z0-9_-]{43}$/;

export const digestOf = (token: string): string => createHash('sha256').update(token).digest('hex');

/** Whether a text has the form of a token; what has not is not looked up. */
export const isTokenLike = (text: string): boolean => TOKEN.test(text);

export interface NewToken {
  readonly name: string;
  readonly scope: Scope;
  /** Default: it does not expire. */
  readonly expires?: Date | undefined;
}

/**
 * Makes a token and keeps its digest.
 * @param dir made where it is missing, for the user alone
 * @returns the token, which can be told now and never again
 * @throws CodedError INVALID_ARGUMENT for a name that is none, TOKEN_EXISTS, TOKENS_UNSAFE
 */
export function createToken(dir: string, { name, scope, expires }: NewToken, now = new Date()): string {
  if (!NAME.test(name)) throw badName(name);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  assertPrivate(dir);
  const token = TOKEN_PREFIX + randomBytes(SECRET_BYTES).toString('base64url');
  const kept: Token = {
    name,
    scope,
    sha256: digestOf(token),
    created: now.toISOString(),
    expires: expires?.toISOString() ?? null,
  };
  // Written aside and linked: a name is taken or not, and nobody reads half of a file.
  const aside = join(dir, `.${randomBytes(8).toString('hex')}`);
  writeFileSync(aside, `${JSON.stringify({ version: VERSION, ...kept })}\n`, { mode: 0o600, flag: 'wx' });
  try {
    linkSync(aside, join(dir, name + SUFFIX));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new CodedError(
      'TOKEN_EXISTS',
      `there is a token named ${name}`,
      'Choose another name, or revoke it first.',
    );
  } finally {
    rmSync(aside, { force: true });
  }
  return token;
}

/** Takes a token away: whoever has it is refused from then on. @throws CodedError TOKEN_NOT_FOUND, TOKENS_UNSAFE */
export function revokeToken(dir: string, name: string): void {
  const names = tokenNames(dir);
  if (!names.includes(name)) {
    const near = nearest(name, names);
    throw new CodedError(
      'TOKEN_NOT_FOUND',
      `there is no token of that name${near === undefined ? '' : `, did you mean ${near}?`}`,
      names.length === 0 ? 'There are none.' : `There are: ${names.slice(0, 20).join(', ')}.`,
    );
  }
  rmSync(join(dir, name + SUFFIX));
}

/** Every token by name. @throws CodedError TOKENS_UNSAFE, TOKEN_DAMAGED */
export function listTokens(dir: string): Token[] {
  return tokenNames(dir).map(name => readToken(dir, name));
}

/** The names of the tokens, in their order; none where the directory is missing. @throws CodedError TOKENS_UNSAFE */
export function tokenNames(dir: string): string[] {
  if (lstatSync(dir, { throwIfNoEntry: false }) === undefined) return [];
  assertPrivate(dir);
  return readdirSync(dir)
    .filter(file => file.endsWith(SUFFIX))
    .map(file => file.slice(0, -SUFFIX.length))
    .filter(name => NAME.test(name))
    .sort();
}

/** @throws CodedError TOKEN_DAMAGED */
export function readToken(dir: string, name: string): Token {
  const { version, ...token } = parsed(readFileSync(join(dir, name + SUFFIX), 'utf8')) as Partial<Token> & {
    version?: unknown;
  };
  const isWhole =
    version === VERSION &&
    token.name === name &&
    SCOPES.includes(token.scope as Scope) &&
    /^[0-9a-f]{64}$/.test(token.sha256 ?? '') &&
    !Number.isNaN(Date.parse(token.created ?? '')) &&
    (token.expires === null || !Number.isNaN(Date.parse(token.expires ?? '')));
  if (isWhole) return token as Token;
  throw new CodedError(
    'TOKEN_DAMAGED',
    `the file of the token ${name} is not one that this version writes`,
    `Revoke it and create another: mcp-vector-server token revoke ${name}`,
  );
}

function parsed(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** Whoever may write there could make tokens. Windows keeps the store to its user by the directory it lies in. */
function assertPrivate(dir: string): void {
  if (process.platform === 'win32') return;
  const fault = privacyFault(lstatSync(dir), process.getuid?.());
  if (fault === undefined) return;
  throw new CodedError(
    'TOKENS_UNSAFE',
    `${dir} ${fault}`,
    `Look at the tokens in it, then give it to this user alone: chmod 700 ${JSON.stringify(dir)}`,
  );
}

function badName(name: string): CodedError {
  return new CodedError(
    'INVALID_ARGUMENT',
    `${JSON.stringify(name.slice(0, 64))} cannot be the name of a token`,
    'Give up to 64 small letters, digits, dots, dashes and underscores, such as "ada-laptop".',
  );
}
