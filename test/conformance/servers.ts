/** What the suites are let at: `serve` as a process, and the fixture behind the door that `serve` has. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Metrics } from '#src/http/metrics.js';
import { DEFAULT_LIMITS, HttpServer, type HttpServerOptions } from '#src/http/server.js';
import { TokenBook } from '#src/http/token-book.js';
import { createToken } from '#src/http/tokens.js';
import { HttpProcess } from '../helpers/http-process.js';
import { fixtureServer } from './fixture-server.js';
import { tokenProxy } from './proxy.js';

export interface Target {
  readonly url: string;
  close(): Promise<void>;
}

const LIMITS = { ...DEFAULT_LIMITS, ratePerSecond: 0 };

export async function startServer(): Promise<Target> {
  const root = mkdtempSync(join(tmpdir(), 'mvs-conformance-'));
  const server = await HttpProcess.start(join(root, 'store'), { args: ['--rate', '0'] });
  const proxy = await tokenProxy(server.port, server.token('suite', 'admin'));
  return {
    url: proxy.url,
    close: async () => {
      proxy.close();
      await server.stop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

export interface Fixture extends Target {
  /** Of the server itself, which wants the token. */
  readonly port: number;
  readonly token: string;
  /** @param graceMs default 1000 */
  close(graceMs?: number): Promise<void>;
}

export async function startFixture(options: Pick<HttpServerOptions, 'timeouts'> = {}): Promise<Fixture> {
  const root = mkdtempSync(join(tmpdir(), 'mvs-conformance-'));
  const tokensDir = join(root, 'tokens');
  const token = createToken(tokensDir, { name: 'suite', scope: 'read' });
  const logger = pino({ level: 'silent' });
  const server: HttpServer = new HttpServer({
    ...options,
    host: '127.0.0.1',
    port: 0,
    allowHosts: [],
    allowOrigins: [],
    limits: LIMITS,
    tokens: new TokenBook(tokensDir, logger),
    createServer: () =>
      fixtureServer({
        toolsChanged: () => server.door.notify.toolsChanged(),
        promptsChanged: () => server.door.notify.promptsChanged(),
      }),
    status: async () => {
      throw new Error('there is no store');
    },
    health: async () => {
      throw new Error('there is no store');
    },
    logger,
    metrics: gauges => new Metrics(gauges),
  });
  const { port } = await server.listen();
  const proxy = await tokenProxy(port, token);
  return {
    url: proxy.url,
    port,
    token,
    close: async (graceMs = 1_000) => {
      proxy.close();
      await server.close(graceMs);
      rmSync(root, { recursive: true, force: true });
    },
  };
}
