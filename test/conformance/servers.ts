/** What the suites are let at: `serve` as a process, and the fixture behind the door that `serve` has. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Metrics } from '#src/http/metrics.js';
import { DEFAULT_LIMITS, HttpServer } from '#src/http/server.js';
import { TokenBook } from '#src/http/token-book.js';
import { createToken } from '#src/http/tokens.js';
import { fixtureServer } from './fixture-server.js';
import { tokenProxy } from './proxy.js';

export interface Target {
  readonly url: string;
  close(): Promise<void>;
}

const MAIN = createRequire(import.meta.url).resolve('#src/cli/main.js');
const LIMITS = { ...DEFAULT_LIMITS, ratePerSecond: 0 };

export async function startServer(): Promise<Target> {
  const root = mkdtempSync(join(tmpdir(), 'mvs-conformance-'));
  const token = createToken(join(root, 'tokens'), { name: 'suite', scope: 'admin' });
  const args = [MAIN, 'serve', '--port', '0', '--rate', '0', '--store', root];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = new Promise(resolve => child.once('exit', resolve));
  const port = await new Promise<number>((resolve, reject) => {
    let log = '';
    child.stderr.on('data', chunk => {
      log += chunk;
      const found = /"port":(\d+)/.exec(log);
      if (found !== null) resolve(Number(found[1]));
    });
    child.once('exit', () => reject(new Error(`serve ended: ${log}`)));
  });
  const proxy = await tokenProxy(port, token);
  return {
    url: proxy.url,
    close: async () => {
      proxy.close();
      child.kill('SIGTERM');
      await exited;
      rmSync(root, { recursive: true, force: true });
    },
  };
}

export async function startFixture(): Promise<Target> {
  const root = mkdtempSync(join(tmpdir(), 'mvs-conformance-'));
  const tokensDir = join(root, 'tokens');
  const token = createToken(tokensDir, { name: 'suite', scope: 'read' });
  const logger = pino({ level: 'silent' });
  const server: HttpServer = new HttpServer({
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
    logger,
    metrics: gauges => new Metrics(gauges),
  });
  const { port } = await server.listen();
  const proxy = await tokenProxy(port, token);
  return {
    url: proxy.url,
    close: async () => {
      proxy.close();
      await server.close(1_000);
      rmSync(root, { recursive: true, force: true });
    },
  };
}
