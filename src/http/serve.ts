/** The server of `mcp-vector-server serve`, put together: our tools behind the door, the store behind them. */
import type { Access } from '../domain/access.js';
import type { Engine } from '../domain/face.js';
import { Zone } from '../domain/zone.js';
import type { Logger } from '../log.js';
import { guardedEngine } from '../mcp/guarded-engine.js';
import type { Server } from '../mcp/sdk.js';
import { createServer, type ServerContext } from '../mcp/server.js';
import { LogEventBus } from '../mcp/subscriptions/event-bus.js';
import { Metrics } from './metrics.js';
import { PageDoor } from './page/door.js';
import { holds, scopeInsufficient, scopeOfTool } from './scopes.js';
import { HttpServer, type HttpServerOptions } from './server.js';
import { TokenBook } from './token-book.js';
import type { Token } from './tokens.js';

export interface ServeOptions
  extends Pick<HttpServerOptions, 'host' | 'port' | 'allowHosts' | 'allowOrigins' | 'tls' | 'limits'> {
  /** See ServerContext. */
  engine(): Promise<Engine>;
  readonly version: string;
  /** Where the tokens lie. */
  readonly tokensDir: string;
  /** VECTOR_ROOTS. Where it is not set nothing is ingested: a client's directories are not those of this machine. */
  readonly roots: readonly string[] | undefined;
  /** See Config: what no token, whatever its scope, goes beyond. */
  readonly access: Access;
  /** The IANA zone of clients that name none in X-Time-Zone; undefined: their moments must do without. */
  readonly zone: string | undefined;
  readonly logger: Logger;
  /** See ServerContext. */
  readonly logTexts?: boolean;
}

/** The header in which a client may name the IANA zone of its moments. */
export const ZONE_HEADER = 'x-time-zone';

/** Makes the server, which does not listen yet. */
export function createHttpServer(options: ServeOptions): HttpServer {
  const { engine, version, tokensDir, roots, access, zone, logger, logTexts = false } = options;
  let metrics: Metrics | undefined;
  const contextOf = (token: Token): ServerContext => ({
    engine,
    version,
    // One process serves many clients: who they are is told by their tokens, and where they work by nothing.
    window: { window: token.name, environment: { session: token.name, source: 'token' }, project: '' },
    transport: 'http',
    roots: roots ?? [],
    access: { ...access, readOnly: access.readOnly || token.scope === 'read' },
    env: {},
    cwd: '/',
    logger,
    callLevel: 'info',
    logTexts,
    refusalOf: tool => {
      const needed = scopeOfTool(tool);
      return holds(token.scope, needed) ? undefined : scopeInsufficient(tool.name, needed, token.scope);
    },
    zoneOf: headers => headers?.get(ZONE_HEADER) ?? zone ?? null,
    onCalled: (name, code, durationMs) => metrics?.onCall(name, code, durationMs / 1000),
  });
  const bus = new LogEventBus({
    engine: async () => guardedEngine(await engine(), access),
    actor: PROBE,
    logger,
  });
  const tokens = new TokenBook(tokensDir, logger);
  return new HttpServer({
    ...options,
    page: new PageDoor({ engine, version, tokensDir, tokens, access }),
    door: { bus },
    tokens,
    createServer: (token): Server => createServer(contextOf(token)),
    status: async () => (await engine()).status({}, { actor: PROBE }),
    health: async maxAgeMs => (await engine()).health({ max_age_ms: maxAgeMs }, { actor: PROBE }),
    metrics: gauges => {
      metrics = new Metrics(gauges);
      return metrics;
    },
  });
}

/** Who asks for the store's state where no client does. */
const PROBE = {
  clientName: 'mcp-vector-server',
  clientVersion: '',
  session: 'http',
  sessionSource: 'window',
  project: '',
  transport: 'http',
  tool: 'status',
} as const;

/** @throws CodedError INVALID_ARGUMENT for what is no IANA zone */
export function assertZone(name: string): void {
  new Zone(name);
}
