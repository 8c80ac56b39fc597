/** The engine of the process that has the store, called over its socket. */
import { realpathSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { readOwner } from '../../wal/owner.js';
import type { Terms } from '../config.js';
import { CodedError } from '../domain/errors.js';
import { type CallContext, ENGINE_METHODS, type Engine, type EngineMethod } from '../domain/face.js';
import { assertPrivateDirectory } from './address.js';
import { ClientConnection } from './client-connection.js';
import { readSocketNote } from './socket-note.js';

/** Longer than any pause that a healthy owner makes: a process that does not answer by then is stopped or stuck. */
const HANDSHAKE_MS = 5_000;
const SILENCE_MS = 15_000;

export interface ConnectOptions {
  /** How long the owner may take to prove itself. Default 5000. */
  readonly handshakeMs?: number;
  /** How long the owner may be silent while a call waits for it, before it counts as stopped. Default 15 000. */
  readonly silenceMs?: number;
  /** What this process was configured with, where the owner must be alike (see termsOf). Default: the owner's configuration is taken as it is. */
  readonly terms?: Terms | undefined;
  /** See ClientOptions. */
  readonly tellsMemory?: boolean;
}

/** The engine of another process. Its `close` ends the connection, not that process. */
export interface RemoteEngine extends Engine {
  /** Resolves when the connection has ended, whoever ended it. */
  readonly ended: Promise<void>;
}

/**
 * The engine of the process that has the store.
 * @returns undefined where nobody listens: nobody has the store, or its owner is just starting, ending, or of a version without a
 *   socket
 * @throws CodedError SOCKET_UNSAFE, OWNER_UNRESPONSIVE, OWNER_VERSION_MISMATCH, OWNER_AUTH_FAILED, OWNER_BUSY,
 *   CONFIG_MISMATCH
 */
export async function connectToOwner(
  storeDir: string,
  { handshakeMs = HANDSHAKE_MS, silenceMs = SILENCE_MS, terms, tellsMemory }: ConnectOptions = {},
): Promise<RemoteEngine | undefined> {
  const note = readSocketNote(storeDir);
  if (note === undefined) return undefined;
  const storePath = realpathSync.native(storeDir);
  const owner = readOwner(storeDir);
  const socket = await dial(note.address);
  if (socket === undefined) return undefined;
  const connection = new ClientConnection(socket, {
    token: note.token,
    storePath,
    terms,
    silenceMs,
    tellsMemory,
    ownerName:
      owner === undefined ? 'the server that has the store' : `process ${owner.pid} (it has the store)`,
  });
  try {
    return (await connection.shakeHands(handshakeMs)) ? engineOver(connection) : undefined;
  } catch (error) {
    // One owner followed another between the reading of the note and the handshake.
    const isOutdated = readSocketNote(storeDir)?.token !== note.token;
    if (error instanceof CodedError && error.code === 'OWNER_AUTH_FAILED' && isOutdated) return undefined;
    throw error;
  }
}

/** The last: the owner was killed before it took the connection from its queue. */
const NOBODY = ['ENOENT', 'ECONNREFUSED', 'ECONNRESET'];

/** A connected socket, or undefined where nobody listens. @throws CodedError SOCKET_UNSAFE, OWNER_UNRESPONSIVE */
function dial(address: string): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    try {
      if (process.platform !== 'win32') assertPrivateDirectory(dirname(address));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      resolve(undefined);
      return;
    }
    const socket = connect(address);
    const onError = (error: NodeJS.ErrnoException) => {
      if (NOBODY.includes(error.code!)) resolve(undefined);
      else reject(unreachable(address, error));
    };
    socket.once('error', onError);
    socket.once('connect', () => {
      socket.off('error', onError);
      resolve(socket);
    });
  });
}

function unreachable(address: string, cause: Error): CodedError {
  return new CodedError(
    'OWNER_UNRESPONSIVE',
    `the server that has the store cannot be reached at ${address}: ${cause.message}`,
    'Run the command again in a moment; if it stays, restart that server.',
    { cause },
  );
}

/** Every method that is forwarded, by name. Of the context actor and zone travel, and what becomes of signal and progress. */
function engineOver(connection: ClientConnection): RemoteEngine {
  const methods = Object.keys(ENGINE_METHODS) as EngineMethod[];
  const forwarded = methods.map(method => [
    method,
    (command: object, context: CallContext) => connection.call(method, command, context),
  ]);
  return {
    ...Object.fromEntries(forwarded),
    close: () => connection.close(),
    ended: connection.closed,
  };
}
