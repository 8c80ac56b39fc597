/** Reaching a store for one command. */
import { randomUUID } from 'node:crypto';
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { type Config, type LogLevel, readConfig } from '../config.js';
import { CodedError } from '../domain/errors.js';
import type { AsOf, CallContext, Engine, ResolvedMoment, Where } from '../domain/face.js';
import type { Machine } from '../paths.js';
import { VERSION } from '../version.js';
import type { Call } from './command.js';

/** One command at a terminal is one session. */
const SESSION = randomUUID();

/**
 * The configuration for this call: the environment's, with --store in place of VECTOR_DB_PATH.
 * @param logLevel where nothing else is said. Default: quieter than a server, since whoever reads stderr here wants to see errors and progress
 * @throws CodedError CONFIG_INVALID
 */
export function configOf(call: Pick<Call, 'text'>, logLevel: LogLevel = 'warn'): Config {
  const machine: Machine = { platform: process.platform, home: homedir(), cwd: process.cwd() };
  const store = call.text('store');
  const env = { ...process.env };
  if (store !== undefined) env.VECTOR_DB_PATH = store;
  env.VECTOR_LOG_LEVEL ??= logLevel;
  return readConfig(env, machine);
}

/**
 * The directory of backups that a command is about: the one that it names, else the configured one.
 * @returns absolute; undefined where neither is there
 * @throws CodedError CONFIG_INVALID, unless one is named
 */
export function backupsOf(call: Pick<Call, 'text'>, named: string | undefined): string | undefined {
  return named === undefined ? configOf(call).schedules.backup.dir : resolve(named);
}

/** Who calls, as the log will name it. */
export function contextOf(command: string, more: Partial<CallContext> = {}): CallContext {
  return {
    actor: {
      clientName: 'mcp-vector-server',
      clientVersion: VERSION,
      session: SESSION,
      sessionSource: 'window',
      project: process.cwd(),
      transport: 'cli',
      tool: `cli ${command}`,
    },
    ...more,
  };
}

/**
 * Does the work on the store: by the engine of the process that has it, or by one of our own on the store opened here. Ends
 * what it began, whatever happened.
 * @param create make the store where there is none; a command that only reads must not leave an empty one behind
 * @throws CodedError or WalError; STORE_MISSING where there is none and `create` is false, STORE_IN_USE where another process has it
 *   and does not listen, the errors of connectToOwner where it does but cannot be used
 */
export async function withEngine<T>(
  call: Pick<Call, 'text'>,
  { create }: { create: boolean },
  work: (engine: Engine) => Promise<T>,
): Promise<T> {
  const reached = await reachConfigured(configOf(call), create);
  const engine = 'engine' in reached ? reached.engine : reached.own;
  try {
    return await work(engine);
  } finally {
    await engine.close();
  }
}

/**
 * The engine of the process that has the store, or one of our own; whoever asks closes it.
 * @throws as withEngine
 */
export async function reachConfigured(
  config: Config,
  create: boolean,
): Promise<{ readonly engine: Engine } | { readonly own: Engine }> {
  const { reachStore } = await import('../local/reach.js');
  return await reachStore(config.storePath, () => openStore(config, create));
}

async function openStore(config: Config, create: boolean): Promise<Engine> {
  // LevelDB makes its files by the umask alone, and a store is for the user alone.
  process.umask(0o077);
  const [{ openEngine }, { createLogger }] = await Promise.all([
    import('../engine/open.js'),
    import('../log.js'),
  ]);
  return openEngine({ path: config.storePath, config, logger: createLogger(config), create });
}

/** The moment of --as-of, as queries take it. */
export function asOfOf(call: Pick<Call, 'text'>): AsOf {
  const moment = call.text('as-of');
  return moment === undefined ? {} : { as_of: moment };
}

/** Which past state a list is of; none of the present, which whoever asks expects. */
export function asOfLine(call: Pick<Call, 'text'>, { seq, time }: ResolvedMoment): string | undefined {
  return call.text('as-of') === undefined ? undefined : `as of event ${seq}, ${time}`;
}

/** The filter of --where. @throws CodedError INVALID_ARGUMENT */
export function whereOf(call: Call): Where | undefined {
  return jsonObject(call, 'where') as Where | undefined;
}

/** A JSON object from an option. @throws CodedError INVALID_ARGUMENT */
export function jsonObject(call: Call, name: string): object | undefined {
  const text = call.text(name);
  if (text === undefined) return undefined;
  const wayOut = `Write it as one JSON object, in single quotes: --${name} '{"kind":"decision"}'.`;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new CodedError('INVALID_ARGUMENT', `--${name}: ${(error as Error).message}`, wayOut, {
      cause: error,
    });
  }
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed;
  throw new CodedError('INVALID_ARGUMENT', `--${name}: is JSON, but not an object`, wayOut);
}
