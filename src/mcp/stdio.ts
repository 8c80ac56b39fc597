import type { Readable, Writable } from 'node:stream';
import type { Access } from '../domain/access.js';
import type { Engine } from '../domain/face.js';
import type { Logger } from '../log.js';
import { LineTransport } from './line-transport.js';
import { withoutContent } from './result.js';
import { serveStdio } from './sdk.js';
import { createServer, type ServerContext } from './server.js';
import { identifyWindow } from './session.js';
import { claimStdout } from './stdout.js';
import { Listens } from './subscriptions/listens.js';
import { resourceWatch } from './subscriptions/subscribed-resources.js';

export interface StdioServerOptions {
  /** See ServerContext.engine. */
  engine(): Promise<Engine>;
  /** The package's version. */
  readonly version: string;
  /** VECTOR_ROOTS: absolute directories; undefined where it is not set. */
  readonly roots: readonly string[] | undefined;
  /** See Config.access. Default: everything. */
  readonly access?: Access;
  readonly logger: Logger;
  /** See ServerContext. */
  readonly callLevel?: ServerContext['callLevel'];
  readonly logTexts?: boolean;
  /** Default: process.env. */
  readonly env?: NodeJS.ProcessEnv;
  /** Default: process.cwd(). */
  readonly cwd?: string;
  /** Default: process.stdin. */
  readonly input?: Readable;
  /** Default: stdout, claimed for MCP alone (see claimStdout). */
  readonly output?: Writable;
}

/** Why serving ended: the client closed its end, or a signal came. */
export type EndReason = 'end of input' | 'SIGTERM' | 'SIGINT';

export interface StdioServer {
  /**
   * Resolves once nothing is served any more. The caller then closes the engine (with its checkpoint) and exits 0.
   */
  readonly ended: Promise<EndReason>;
}

/**
 * Serves MCP on stdio, to clients of either era, until the input ends or SIGTERM or SIGINT comes; requests in flight
 * are then still answered if that takes no more than a moment. A second signal ends it at once.
 */
export function serveStdioServer(options: StdioServerOptions): StdioServer {
  const { logger } = options;
  const env = options.env ?? process.env;
  const cwd = options.cwd ?? process.cwd();
  const context = {
    engine: () => options.engine(),
    version: options.version,
    window: identifyWindow(env, cwd),
    transport: 'stdio' as const,
    roots: options.roots,
    ...(options.access && { access: options.access }),
    env,
    cwd,
    logger,
    ...(options.callLevel && { callLevel: options.callLevel }),
    ...(options.logTexts && { logTexts: options.logTexts }),
  };
  const transport = new LineTransport(options.input ?? process.stdin, options.output ?? claimStdout());
  let listens: Listens | undefined;
  const factory: Parameters<typeof serveStdio>[0] = ({ era }) => {
    const server = createServer(context);
    listens = era === 'modern' ? new Listens(resourceWatch(server, context, true)) : undefined;
    return server;
  };
  const served = serveStdio(factory, {
    transport,
    onerror: error => logger.debug({ error: withoutContent(error) }, 'connection error'),
  });
  // Behind the SDK, which has made the server that the message is for by then, or does so before anything changes.
  const deliver = transport.onmessage;
  transport.onmessage = (message, extra) => {
    deliver?.(message, extra);
    setImmediate(() => listens?.observe(message));
  };
  return { ended: ended(transport, () => served.close()) };
}

/** @param sayGoodbye closes the connection, and tells whoever listens that it ends */
async function ended(transport: LineTransport, sayGoodbye: () => Promise<void>): Promise<EndReason> {
  let reason: EndReason = 'end of input';
  let signals = 0;
  const onSignal = (signal: 'SIGTERM' | 'SIGINT') => {
    signals++;
    if (signals === 1) reason = signal;
    void (signals === 1 ? transport.end(sayGoodbye) : transport.close());
  };
  // Never taken off again: clients send SIGTERM when closing stdin did not end the process at once, and that must not
  // cut short the checkpoint which the caller writes then.
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  await transport.closed;
  return reason;
}
