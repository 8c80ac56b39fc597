import { join } from 'node:path';
import { PATHS } from '../../../wal/paths.js';
import { SCOPES, type Scope } from '../../http/scopes.js';
import { createToken, listTokens, revokeToken } from '../../http/tokens.js';
import { usage } from '../arguments.js';
import type { Call } from '../command.js';
import { configOf } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { columns, count, say, sayJson } from '../printing.js';

const COMMAND = { name: 'token' };
const DAY_MS = 86_400_000;

/** `token create NAME`, `token list`, `token revoke NAME`. They need no store that is open; a running server knows at once. */
export default async function token(call: Call): Promise<number> {
  // What is made here is for the user alone.
  process.umask(0o077);
  const dir = join(configOf(call).storePath, PATHS.tokens);
  const [action, name, ...more] = call.positionals;
  if (more.length > 0) throw usage(COMMAND, `${JSON.stringify(more[0])} is one argument too many`);
  if (action === 'list' && name === undefined) return list(dir, call);
  if (action !== 'create' && action !== 'revoke')
    throw usage(COMMAND, `${JSON.stringify(action)}: wants create NAME, list or revoke NAME`);
  if (name === undefined) throw usage(COMMAND, `${action}: the name is missing: token ${action} NAME`);
  if (action === 'create') return create(dir, name, call);
  revokeToken(dir, name);
  if (call.has('json')) sayJson({ revoked: name });
  else say(`${name} is revoked: whoever has it is refused from now on.`);
  return EXIT.ok;
}

function create(dir: string, name: string, call: Call): number {
  const scope = (call.text('scope') ?? 'write') as Scope;
  const days = call.text('expires') === undefined ? undefined : call.integer('expires', DAYS);
  const expires = days === undefined ? undefined : new Date(Date.now() + days * DAY_MS);
  const secret = createToken(dir, { name, scope, expires });
  if (call.has('json')) sayJson({ name, scope, expires: expires?.toISOString() ?? null, token: secret });
  else {
    say(secret);
    // To stderr, so that the token alone can be piped on.
    console.error(
      `This is ${name}, scope ${scope}. It is shown this once: only its digest is kept. Clients send it as "Authorization: Bearer …".`,
    );
  }
  return EXIT.ok;
}

const DAYS = { min: 1, max: 3650, fallback: 0 };

function list(dir: string, call: Call): number {
  const tokens = listTokens(dir);
  if (call.has('json')) {
    sayJson({
      tokens: tokens.map(({ name, scope, created, expires }) => ({ name, scope, created, expires })),
    });
    return EXIT.ok;
  }
  const now = new Date().toISOString();
  const rows = tokens.map(({ name, scope, created, expires }) => [
    name,
    scope,
    `created ${created.slice(0, 10)}`,
    expires === null ? '' : `${expires < now ? 'expired' : 'expires'} ${expires.slice(0, 10)}`,
  ]);
  for (const row of columns(rows)) say(row);
  if (rows.length === 0)
    say(`${count(0, 'token')}: mcp-vector-server token create NAME --scope ${SCOPES.join('|')}`);
  return EXIT.ok;
}
