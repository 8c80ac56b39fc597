/** What is said after the handshake: calls of the engine by name, their answers, progress and cancellation. */
import { WalError, type WalErrorCode } from '../../wal/errors.js';
import { type Coded, CodedError, type ErrorCode, isCoded } from '../domain/errors.js';
import type { Progress } from '../domain/face.js';
import type { WindowUse } from '../domain/health.js';
import type { Actor } from '../domain/model.js';
import type { SearchTrace } from '../domain/search-trace.js';
import { BadFrame, isObject, type Message } from './frames.js';

/** client -> owner. Several calls run at once over one connection. */
export interface CallMessage {
  readonly type: 'call';
  /** Chosen by the client; unique among its calls in flight. */
  readonly id: number;
  /** A key of ENGINE_METHODS, if the client is of the owner's version. */
  readonly method: string;
  /** The method's first argument: a command or a query. */
  readonly command: object;
  readonly actor: Actor;
  /** See CallContext. */
  readonly zone?: string | null | undefined;
  /** Whether progress is wanted. */
  readonly progress: boolean;
  /** Whether it is wanted how a search was done. */
  readonly trace?: boolean;
}

/** client -> owner: aborts the call, which is answered all the same. */
export interface CancelMessage {
  readonly type: 'cancel';
  readonly id: number;
}

/** client -> owner, where nothing was heard for a while: whether it still runs. */
export interface PingMessage {
  readonly type: 'ping';
}

/** client -> owner, now and then: what the process takes, so that the owner can tell what all windows take together. */
export interface MemoryMessage {
  readonly type: 'memory';
  readonly pid: number;
  readonly rss_bytes: number;
}

/** owner -> client. */
export interface PongMessage {
  readonly type: 'pong';
}

/** owner -> client, its last word where it ends in good order: calls with later ids than it received were not begun, and are not. */
export interface LeavingMessage {
  readonly type: 'leaving';
  readonly received: number;
}

/** owner -> client. */
export interface AnswerMessage {
  readonly type: 'answer';
  readonly id: number;
  readonly value?: unknown;
  readonly trace?: SearchTrace | undefined;
}

/** owner -> client: the call was refused or failed. */
export interface ErrorMessage {
  readonly type: 'error';
  readonly id: number;
  readonly error: WireError;
}

/** owner -> client, any number of them before the answer. */
export interface ProgressMessage {
  readonly type: 'progress';
  readonly id: number;
  readonly progress: Progress;
}

/** owner -> client, in place of challenge or welcome; the connection is closed after it. */
export interface RefusedMessage {
  readonly type: 'refused';
  readonly error: WireError;
}

/** A coded error as it travels. */
export interface WireError extends Coded {
  /** Whose class it had: the log's WalError or the program's CodedError. */
  readonly layer: 'wal' | 'program';
}

/** An error of the owner's, made ready to travel. What has no code is a defect, whose text may quote what was stored. */
export function toWire(error: unknown): WireError {
  if (!isCoded(error)) {
    const name = error instanceof Error ? error.name : typeof error;
    return {
      layer: 'program',
      code: 'INTERNAL',
      message: `the server that has the store failed in a way it has no code for (${name})`,
      wayOut: "This is a bug: look into that server's log and report it.",
    };
  }
  const { code, message, wayOut, details } = error;
  const layer = error instanceof WalError ? 'wal' : 'program';
  return { layer, code, message, wayOut, ...(details === undefined ? {} : { details }) };
}

/** The same error on the other side. @throws BadFrame where it is none */
export function fromWire(value: unknown): CodedError | WalError {
  if (!isObject(value)) throw new BadFrame('an error that is no object');
  const { layer, code, message, wayOut, details } = value;
  if (typeof code !== 'string' || typeof message !== 'string' || typeof wayOut !== 'string')
    throw new BadFrame('an error without code, message and way out');
  const options = isObject(details) ? { details } : {};
  // Both sides are of one version, so their codes are the same.
  return layer === 'wal'
    ? new WalError(code as WalErrorCode, message, wayOut, options)
    : new CodedError(code as ErrorCode, message, wayOut, options);
}

/** Of one field; a project's directory is the longest. */
const MAX_ACTOR_CHARS = 4096;
const TRANSPORTS: readonly unknown[] = [
  'stdio',
  'http',
  'cli',
  'library',
] satisfies readonly Actor['transport'][];

/** @throws BadFrame */
export function readCall(message: Message): CallMessage {
  const { method, command, actor, zone, progress, trace } = message;
  if (typeof method !== 'string') throw new BadFrame('a call without a method');
  if (!isObject(command)) throw new BadFrame('a call without its command');
  return {
    type: 'call',
    id: readId(message),
    method,
    command,
    actor: readActor(actor),
    zone: readZone(zone),
    progress: progress === true,
    trace: trace === true,
  };
}

/** How a search was done; undefined where the owner did not say. @throws BadFrame */
export function readTrace({ trace }: Message): SearchTrace | undefined {
  if (trace === undefined) return undefined;
  if (
    !isObject(trace) ||
    typeof trace.plan !== 'string' ||
    !isObject(trace.timings) ||
    !Array.isArray(trace.collections)
  )
    throw new BadFrame('a trace of another form');
  return trace as unknown as SearchTrace;
}

/** The word of a process of the same user: of the form of a figure, and no more is known. @throws BadFrame */
export function readMemory({ pid, rss_bytes }: Message): WindowUse {
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;
  if (isCount(pid) && isCount(rss_bytes)) return { pid, rss_bytes };
  throw new BadFrame('a memory message without its figures');
}

/** The last call that an owner which ends has received; 0 for none. @throws BadFrame */
export function readLeaving({ received }: Message): number {
  if (Number.isSafeInteger(received) && (received as number) >= 0) return received as number;
  throw new BadFrame('a leaving without the last call');
}

/** Whether there is such a zone is found out where a moment needs it. */
function readZone(value: unknown): string | null | undefined {
  const isZone = value === undefined || value === null || (typeof value === 'string' && value.length <= 64);
  if (isZone) return value as string | null | undefined;
  throw new BadFrame('a call in a zone that is no name');
}

/** @throws BadFrame */
export function readId({ id }: Message): number {
  if (Number.isSafeInteger(id)) return id as number;
  throw new BadFrame('a message without the id of its call');
}

/** Written to the log as it stands, so its form is checked; what it says is the word of a process of the same user. */
function readActor(value: unknown): Actor {
  if (!isObject(value)) throw new BadFrame('a call without an actor');
  const text = (field: keyof Actor): string => {
    const found = value[field];
    if (typeof found === 'string' && found.length <= MAX_ACTOR_CHARS) return found;
    throw new BadFrame(`a call whose actor has no ${field}`);
  };
  if (!TRANSPORTS.includes(value.transport)) throw new BadFrame('a call over an unknown transport');
  return {
    clientName: text('clientName'),
    clientVersion: text('clientVersion'),
    session: text('session'),
    sessionSource: text('sessionSource'),
    project: text('project'),
    transport: value.transport as Actor['transport'],
    tool: text('tool'),
  };
}
