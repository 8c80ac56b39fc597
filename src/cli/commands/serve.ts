import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PATHS } from '../../../wal/paths.js';
import { CodedError } from '../../domain/errors.js';
import { assertNamed, isLoopback } from '../../http/names.js';
import { assertZone, createHttpServer, type ServeOptions } from '../../http/serve.js';
import { DEFAULT_LIMITS } from '../../http/server.js';
import { createLogger, type Logger } from '../../log.js';
import { createNotifier } from '../../ops/service/notify.js';
import { VERSION } from '../../version.js';
import { usage } from '../arguments.js';
import type { Call } from '../command.js';
import { configOf, contextOf } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { endOnUnexpected } from '../last-words.js';
import { renderLogLine } from '../log-line.js';
import { styler } from '../printing.js';
import { reopenOnHangup } from '../reopen-log.js';
import { shareStore } from '../share-store.js';

const HOST = '127.0.0.1';
const PORT = 3000;
/** How long answers on their way may take once the server was told to end. */
const GRACE_MS = 10_000;
const MEBIBYTE = 1024 * 1024;

/** `serve`: MCP over HTTP until a signal comes; then what is at work ends, and the store is closed with its checkpoint. */
export default async function serve(call: Call): Promise<number> {
  // LevelDB makes its files by the umask alone, and a store is for the user alone.
  process.umask(0o077);
  const isDebugging = call.has('debug');
  const configured = configOf(call, 'info');
  const config = isDebugging ? { ...configured, logLevel: 'debug' as const } : configured;
  const style = styler(process.stderr);
  const render = (line: string) => renderLogLine(line, style, false);
  const logger = createLogger(config, isDebugging ? { render } : {});
  endOnUnexpected(logger);
  reopenOnHangup(config, logger);
  const options = optionsOf(call);
  const store = await shareStore(config, logger);
  const tokensDir = join(config.storePath, PATHS.tokens);
  const { roots, access, logTexts } = config;
  const server = createHttpServer({
    ...options,
    engine: async () => store.engine,
    version: VERSION,
    tokensDir,
    roots,
    access,
    logger,
    logTexts,
  });
  const ended = signalled(logger);
  const notifier = createNotifier({
    env: process.env,
    logger,
    alive: () => store.engine.status({}, contextOf('serve')),
  });
  try {
    // Before it listens: a server whose store does not open has nothing to serve.
    await store.reach();
    const { port } = await server.listen();
    const scheme = options.tls === undefined ? 'http' : 'https';
    logger.info(
      { host: options.host, port },
      `serving MCP at ${scheme}://${urlHost(options.host)}:${port}/mcp`,
    );
    if (server.tokenCount === 0)
      logger.warn(
        'there is no token, so nobody can use it: mcp-vector-server token create NAME --scope write',
      );
    await notifier.ready(`serving MCP at ${scheme}://${urlHost(options.host)}:${port}/mcp`);
    logger.info({ signal: await ended }, 'ending');
    await notifier.stopping();
    await server.close(GRACE_MS);
  } finally {
    await store.close();
  }
  return EXIT.ok;
}

type Given = Omit<
  ServeOptions,
  'engine' | 'version' | 'tokensDir' | 'roots' | 'access' | 'logger' | 'logTexts'
>;

/** @throws CodedError INVALID_ARGUMENT, ADDRESS_UNSAFE */
function optionsOf(call: Call): Given {
  const host = call.text('host') ?? HOST;
  const tls = tlsOf(call);
  if (!isLoopback(host) && tls === undefined && !call.has('behind-proxy')) throw unsafe(host);
  const zone = call.text('zone');
  if (zone !== undefined) assertZone(zone);
  const options = {
    host,
    port: call.integer('port', { min: 0, max: 65_535, fallback: PORT }),
    allowHosts: call.texts('allow-host'),
    allowOrigins: call.texts('allow-origin'),
    ...(tls !== undefined && { tls }),
    zone,
    limits: limitsOf(call),
  };
  assertNamed(options);
  return options;
}

function limitsOf(call: Call): ServeOptions['limits'] {
  const { maxBodyBytes, ratePerSecond, concurrency, streams } = DEFAULT_LIMITS;
  const maxMebibytes = call.integer('max-body', { min: 1, max: 64, fallback: maxBodyBytes / MEBIBYTE });
  return {
    maxBodyBytes: maxMebibytes * MEBIBYTE,
    ratePerSecond: call.integer('rate', { min: 0, max: 1_000_000, fallback: ratePerSecond }),
    concurrency: call.integer('concurrency', { min: 1, max: 10_000, fallback: concurrency }),
    streams,
  };
}

function tlsOf(call: Call): ServeOptions['tls'] {
  const [cert, key] = [call.text('tls-cert'), call.text('tls-key')];
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined)
    throw usage({ name: 'serve' }, '--tls-cert and --tls-key go together');
  return { cert: read('--tls-cert', cert), key: read('--tls-key', key) };
}

function read(option: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw usage({ name: 'serve' }, `${option}: ${(error as Error).message}`);
  }
}

function unsafe(host: string): CodedError {
  return new CodedError(
    'ADDRESS_UNSAFE',
    `--host ${host} can be reached from other machines, and tokens and texts would travel in the open`,
    'Give --tls-cert and --tls-key; or say --behind-proxy where a proxy on the same machine or network does the TLS.',
  );
}

const urlHost = (host: string) => (host.includes(':') ? `[${host}]` : host);

/** Resolves with the first signal that asks the process to end; the second one ends it. */
function signalled(logger: Logger): Promise<NodeJS.Signals> {
  return new Promise(resolve => {
    let signals = 0;
    const onSignal = (signal: NodeJS.Signals) => {
      signals++;
      if (signals === 1) resolve(signal);
      else {
        logger.warn({ signal }, 'ending at once');
        process.exit(EXIT.couldNotRun);
      }
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}
