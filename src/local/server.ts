/** The owner's socket: other processes of the same user call the engine of the one that has the store. */
import { lstatSync, realpathSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { Terms } from '../config.js';
import { CodedError, isCoded } from '../domain/errors.js';
import type { Engine } from '../domain/face.js';
import type { WindowUse } from '../domain/health.js';
import type { Logger } from '../log.js';
import { type Host, isPrivateDirectory, makePrivateDirectory, socketAddress, thisHost } from './address.js';
import { ServerConnection } from './server-connection.js';
import { newToken, readSocketNote, removeSocketNote, writeSocketNote } from './socket-note.js';

const MAX_CONNECTIONS = 64;
const HANDSHAKE_MS = 2_000;
/** Temporary directories are cleaned now and then, of what nobody has touched for days: a socket, too, on some systems. */
const WATCH_MS = 30_000;

export interface LocalServerOptions {
  /** The store that this process owns: its lock is held, and let go only after the server's close. */
  readonly storeDir: string;
  readonly engine: Engine;
  /** What a window must have been configured with; see termsOf. */
  readonly terms: Terms;
  readonly logger: Logger;
  /** For tests. Default: this machine. */
  readonly host?: Host;
  /** A connection that has not proved itself by then is closed. Default 2000. */
  readonly handshakeMs?: number;
  /** How often it is looked whether the socket and its note are still there. Default 30 000. */
  readonly watchMs?: number;
}

export interface LocalServer {
  /** A socket's absolute path, or the name of a pipe. */
  readonly address: string;
  /** The processes that use the store through this one, as each last said of itself; commands say nothing. */
  windows(): WindowUse[];
  /**
   * Takes no new calls, lets those in flight end for at most a second, and is gone. To be called before the
   * engine's close. Does not reject.
   */
  close(): Promise<void>;
}

/**
 * Listens for other processes of the user.
 * @throws CodedError SOCKET_UNSAFE where the directory of the socket is not this user's alone; SOCKET_UNAVAILABLE where nobody can
 *   listen there. The store is as usable as before, by this process alone.
 */
export async function serveLocal(options: LocalServerOptions): Promise<LocalServer> {
  try {
    return await start(options);
  } catch (error) {
    if (isCoded(error)) throw error;
    throw unavailable((error as Error).message, error);
  }
}

async function start(options: LocalServerOptions): Promise<LocalServer> {
  const { storeDir, engine, terms, logger, host = thisHost() } = options;
  const { handshakeMs = HANDSHAKE_MS, watchMs = WATCH_MS } = options;
  const storePath = realpathSync.native(storeDir);
  await clearFormer(storeDir, host);
  const address = socketAddress(storePath, host);
  if (host.platform !== 'win32') {
    makePrivateDirectory(dirname(address), host);
    if (await isListening(address)) throw unavailable(`another process listens on ${address}`);
    rmSync(address, { force: true });
  }
  const connections = new Set<ServerConnection>();
  const token = newToken();
  const take = (socket: Socket) => {
    const connection = new ServerConnection(socket, { engine, token, storePath, terms, handshakeMs, logger });
    if (connections.size >= MAX_CONNECTIONS) {
      connection.refuse(tooMany());
      return;
    }
    connections.add(connection);
    void connection.closed.then(() => connections.delete(connection));
  };
  const onFailure = (error: Error) => logger.error({ err: error }, 'the local socket failed');
  let server = await listen(take, address, onFailure);
  try {
    // Last: whoever finds the note finds somebody listening.
    writeSocketNote(storeDir, { address, token });
  } catch (error) {
    server.close();
    throw error;
  }
  const listenAgain = async () => {
    if (isThere(storeDir, address, token, host)) return;
    // Closed first: its end would take the new socket's name away. Connections that there are go on.
    server.close();
    if (host.platform !== 'win32') makePrivateDirectory(dirname(address), host);
    server = await listen(take, address, onFailure);
    writeSocketNote(storeDir, { address, token });
    logger.warn({ address }, 'the local socket was removed by somebody: it is there again');
  };
  let watching = Promise.resolve();
  const watch = setInterval(() => {
    watching = watching.then(listenAgain).catch(onFailure);
  }, watchMs).unref();
  logger.debug({ address }, 'listening for other processes of this user');
  return {
    address,
    windows: () => [...connections].flatMap(({ use }) => (use === undefined ? [] : [use])),
    async close() {
      clearInterval(watch);
      await watching;
      removeSocketNote(storeDir);
      const closed = new Promise(resolve => server.close(resolve));
      await Promise.all([...connections].map(connection => connection.close()));
      await closed;
    },
  };
}

function listen(
  take: (socket: Socket) => void,
  address: string,
  onFailure: (error: Error) => void,
): Promise<Server> {
  const server = createServer(take);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(address, () => {
      server.off('error', reject);
      server.on('error', onFailure);
      resolve(server);
    });
  });
}

/** Whether a client still finds us. */
function isThere(storeDir: string, address: string, token: string, host: Host): boolean {
  if (readSocketNote(storeDir, host)?.token !== token) return false;
  return host.platform === 'win32' || lstatSync(address, { throwIfNoEntry: false }) !== undefined;
}

/**
 * Removes what a former owner of this store left when it was killed; its environment, and so its directory, may have been another.
 * A socket on which somebody listens is not ours: the directory may be a copy of another store's.
 */
async function clearFormer(storeDir: string, host: Host): Promise<void> {
  const former = formerAddress(storeDir);
  removeSocketNote(storeDir);
  if (former === undefined || host.platform === 'win32' || !isPrivateDirectory(dirname(former), host)) return;
  const file = lstatSync(former, { throwIfNoEntry: false });
  if (file === undefined || !file.isSocket()) return;
  if (!(await isListening(former))) rmSync(former, { force: true });
}

/** What cannot be trusted names nothing to be removed. */
function formerAddress(storeDir: string): string | undefined {
  try {
    return readSocketNote(storeDir)?.address;
  } catch (error) {
    if (isCoded(error) && error.code === 'SOCKET_UNSAFE') return undefined;
    throw error;
  }
}

/** Whether a process is behind a socket file; false as well where there is no such file. */
function isListening(address: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(address, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      // Its queue of connections is full: there is somebody.
      else if (error.code === 'EAGAIN') resolve(true);
      else reject(error);
    });
  });
}

const tooMany = () =>
  new CodedError(
    'OWNER_BUSY',
    `the server that has the store serves ${MAX_CONNECTIONS} other processes already`,
    'End some of them, or run the command again in a moment.',
  );

const unavailable = (reason: string, cause?: unknown) =>
  new CodedError(
    'SOCKET_UNAVAILABLE',
    `other processes cannot reach this store while it is open here: ${reason}`,
    'Set XDG_RUNTIME_DIR or TMPDIR to a directory of this user on a local disk.',
    { cause },
  );
