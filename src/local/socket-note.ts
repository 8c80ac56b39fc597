/**
 * `socket.json` in the store: where its owner listens, and the token by which both sides know each other. Whoever may read
 * the store may use it; nobody else can read either. The address stands here because the environments differ: an MCP client
 * starts its servers without XDG_RUNTIME_DIR and TMPDIR, and a terminal has both.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PATHS } from '../../wal/paths.js';
import { CodedError } from '../domain/errors.js';
import { type Host, thisHost } from './address.js';

const TOKEN_BYTES = 32;
const TOKEN = /^[0-9a-f]{64}$/;
const OTHERS = 0o077;

export interface SocketNote {
  /** A socket's absolute path, or the name of a pipe. */
  readonly address: string;
  /** 32 random bytes as 64 hex digits, new at every start of an owner. Never sent. */
  readonly token: string;
}

export const newToken = (): string => randomBytes(TOKEN_BYTES).toString('hex');

/** Writes the note of a new owner, readable by its user alone, in place of what an earlier one left. */
export function writeSocketNote(storeDir: string, { address, token }: SocketNote): void {
  removeSocketNote(storeDir);
  const text = `${JSON.stringify({ address, token })}\n`;
  writeFileSync(noteFile(storeDir), text, { mode: 0o600, flag: 'wx' });
}

export function removeSocketNote(storeDir: string): void {
  rmSync(noteFile(storeDir), { force: true });
}

/**
 * The note as it stands there, which may be that of an owner long gone; undefined where there is none, or none yet whole.
 * @throws CodedError SOCKET_UNSAFE where other users may read or may have written it
 */
export function readSocketNote(storeDir: string, host: Host = thisHost()): SocketNote | undefined {
  const path = noteFile(storeDir);
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unsafe(path, (error as Error).message, error);
  }
  try {
    const { uid, mode } = fstatSync(file);
    // Windows keeps the store to its user by the directory it lies in.
    if (host.platform !== 'win32') {
      if (uid !== host.uid) throw unsafe(path, `it belongs to user ${uid}`);
      if ((mode & OTHERS) !== 0) throw unsafe(path, 'other users may read it');
    }
    return parse(readFileSync(file, 'utf8'));
  } finally {
    closeSync(file);
  }
}

function parse(text: string): SocketNote | undefined {
  let note: unknown;
  try {
    note = JSON.parse(text);
  } catch {
    // Not written to its end yet, or torn by a crash: as good as absent, and the next owner writes it anew.
    return undefined;
  }
  const { address, token } = (note ?? {}) as Record<string, unknown>;
  if (typeof address !== 'string' || typeof token !== 'string' || !TOKEN.test(token)) return undefined;
  return { address, token };
}

function unsafe(path: string, reason: string, cause?: unknown): CodedError {
  return new CodedError(
    'SOCKET_UNSAFE',
    `${path} is not used: ${reason}`,
    'Run the command as the user whose server has the store. If that is you, restart the server: it writes the file anew.',
    { cause },
  );
}

const noteFile = (storeDir: string) => join(storeDir, PATHS.socketNote);
