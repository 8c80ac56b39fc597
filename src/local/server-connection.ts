import type { Socket } from 'node:net';
import type { Terms } from '../config.js';
import { CodedError, isCoded } from '../domain/errors.js';
import { type CallContext, ENGINE_METHODS, type Engine, type EngineMethod } from '../domain/face.js';
import type { WindowUse } from '../domain/health.js';
import type { SearchTrace } from '../domain/search-trace.js';
import type { Logger } from '../log.js';
import { BadFrame, encodeFrame, FrameReader, MAX_FRAME_BYTES, type Message } from './frames.js';
import {
  assertSameTerms,
  assertSameVersion,
  isNonce,
  isProofOf,
  newNonce,
  OWN_VERSION,
  proofOf,
  type Transcript,
  unproved,
} from './handshake.js';
import {
  type AnswerMessage,
  type CallMessage,
  type ErrorMessage,
  type LeavingMessage,
  type PongMessage,
  type ProgressMessage,
  type RefusedMessage,
  readCall,
  readId,
  readMemory,
  toWire,
} from './protocol.js';

/** Calls of one connection that may run at once: more are refused, not queued. */
const MAX_CALLS = 64;
/**
 * How long calls may still run once the owner closes, and how long after that they have to notice that they were aborted. Clients of the SDK give a server
 * two seconds after they closed its stdin.
 */
const DRAIN_MS = 1_000;
const ABORTED_MS = 400;

export interface ConnectionOptions {
  readonly engine: Engine;
  readonly token: string;
  /** Real path of the store. */
  readonly storePath: string;
  /** What a window must have been configured with; see termsOf. */
  readonly terms: Terms;
  readonly handshakeMs: number;
  readonly logger: Logger;
}

interface Running {
  readonly method: EngineMethod;
  readonly abort: AbortController;
}

/** Every method of the engine as the socket knows it. */
type Forwarded = (command: object, context: CallContext) => Promise<unknown>;

/** The owner's side of one connection. Nothing is served before both sides have proved themselves. */
export class ServerConnection {
  /** Resolves when nothing of it is left. */
  readonly closed: Promise<void>;
  private readonly reader = new FrameReader();
  /** Set by the hello. */
  private transcript: Transcript | undefined;
  private isProved = false;
  /** What the other process said last of its memory; nothing of one that only calls, as a command does. */
  use: WindowUse | undefined;
  private isClosing = false;
  private readonly calls = new Map<number, Running>();
  /** The latest call that came. */
  private received = 0;
  private onIdle: (() => void) | undefined;
  private readonly handshakeTimer: NodeJS.Timeout;

  constructor(
    private readonly socket: Socket,
    private readonly options: ConnectionOptions,
  ) {
    // A loop that stood still sees the timer before what has come in meanwhile: one turn to read that first.
    const onLate = () => {
      if (!this.isProved) this.drop('no handshake in time');
    };
    this.handshakeTimer = setTimeout(() => setImmediate(onLate), options.handshakeMs);
    this.closed = new Promise(resolve => socket.once('close', resolve));
    socket.once('close', () => this.onClose());
    // Named by 'close' that follows; a client that goes away is nothing that anybody could act on.
    socket.on('error', error => options.logger.debug({ error: error.message }, 'local connection failed'));
    socket.on('data', bytes => this.onData(bytes));
    // An answer that nobody reads holds memory: what asks for more of them is not read meanwhile.
    socket.on('drain', () => socket.resume());
  }

  /** Refuses new calls, lets those in flight end for a moment, aborts what is left, and closes. */
  async close(): Promise<void> {
    this.isClosing = true;
    if (this.isProved) {
      // These only wait for what may happen: whoever follows the log goes on at the next owner.
      for (const { method, abort } of this.calls.values())
        if (method === 'watch') abort.abort(shuttingDown());
      await this.idle(DRAIN_MS);
      for (const { abort } of this.calls.values()) abort.abort();
      await this.idle(ABORTED_MS);
      // What is on its way is not read any more: whoever sent it must know that it was not begun.
      this.send({ type: 'leaving', received: this.received } satisfies LeavingMessage);
    }
    this.socket.destroySoon();
    // A client that does not read must not hold up the owner's end.
    setTimeout(() => this.socket.destroy(), ABORTED_MS).unref();
    await this.closed;
  }

  /** Sends a refusal in place of the handshake's next step, and closes. */
  refuse(error: CodedError): void {
    const { code, message } = error;
    this.options.logger.warn({ code }, `local connection refused: ${message}`);
    this.send({ type: 'refused', error: toWire(error) } satisfies RefusedMessage);
    this.socket.destroySoon();
  }

  private onData(bytes: Buffer): void {
    try {
      this.reader.push(bytes, message => {
        if (!this.socket.writable) return;
        if (this.isProved) this.receive(message);
        else this.shakeHands(message);
      });
    } catch (error) {
      if (!(error instanceof BadFrame)) throw error;
      this.drop(error.message);
    }
  }

  private drop(reason: string): void {
    if (this.socket.destroyed) return;
    this.options.logger.warn(`local connection closed: ${reason}`);
    this.socket.destroy();
  }

  private onClose(): void {
    clearTimeout(this.handshakeTimer);
    // Nobody is left who could use the answers.
    for (const { abort } of this.calls.values()) abort.abort();
  }

  private shakeHands(message: Message): void {
    try {
      if (message.type === 'hello' && this.transcript === undefined) this.challenge(message);
      else if (message.type === 'proof' && this.transcript !== undefined)
        this.welcome(this.transcript, message);
      else throw new BadFrame(`a ${described(message)} in the middle of the handshake`);
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      this.refuse(error);
    }
  }

  private challenge(hello: Message): void {
    assertSameVersion(hello, 'client');
    if (!isNonce(hello.nonce)) throw new BadFrame('a hello without a nonce');
    const { token, storePath } = this.options;
    this.transcript = { token, storePath, clientNonce: hello.nonce, ownerNonce: newNonce() };
    const proof = proofOf('owner', this.transcript);
    this.send({ type: 'challenge', ...OWN_VERSION, nonce: this.transcript.ownerNonce, proof });
  }

  private welcome(transcript: Transcript, { proof, terms }: Message): void {
    if (!isProofOf('client', transcript, proof))
      throw unproved('the client did not prove that it knows the token of this store');
    // Only now: what is configured here is nobody's business who does not know the token.
    assertSameTerms(terms, this.options.terms);
    clearTimeout(this.handshakeTimer);
    this.isProved = true;
    this.reader.maxBytes = MAX_FRAME_BYTES;
    this.send({ type: 'welcome' });
  }

  private receive(message: Message): void {
    // The answer to a cancelled call may be on its way already.
    if (message.type === 'cancel') {
      this.calls.get(readId(message))?.abort.abort();
      return;
    }
    if (message.type === 'ping') {
      this.send({ type: 'pong' } satisfies PongMessage);
      return;
    }
    if (message.type === 'memory') {
      this.use = readMemory(message);
      return;
    }
    if (message.type !== 'call')
      throw new BadFrame(`a ${described(message)} that is neither call, cancel, ping nor memory`);
    const call = readCall(message);
    if (this.calls.has(call.id)) throw new BadFrame('two calls of one id');
    this.received = Math.max(this.received, call.id);
    void this.answer(call);
  }

  private async answer(call: CallMessage): Promise<void> {
    const { id, method } = call;
    const abort = new AbortController();
    try {
      this.assertServing();
      if (!isEngineMethod(method)) throw unknownMethod(method);
      this.calls.set(id, { method, abort });
      let trace: SearchTrace | undefined;
      const onTrace = (told: SearchTrace) => {
        trace = told;
      };
      const value = await this.run(call, method, { signal: abort.signal, ...(call.trace && { onTrace }) });
      this.sendAnswer(id, method, value, trace);
    } catch (error) {
      this.logFailure(call, error);
      const { reason } = abort.signal;
      const told = reason instanceof CodedError ? reason : error;
      this.send({ type: 'error', id, error: toWire(told) } satisfies ErrorMessage);
    } finally {
      this.calls.delete(id);
      if (this.calls.size === 0) this.onIdle?.();
    }
  }

  private assertServing(): void {
    if (this.isClosing) throw shuttingDown();
    if (this.calls.size >= MAX_CALLS)
      throw new CodedError(
        'OWNER_BUSY',
        `${MAX_CALLS} calls of this connection are running already; nothing was done`,
        'Wait for their answers, then repeat the call.',
      );
  }

  private run(
    call: CallMessage,
    method: EngineMethod,
    more: Pick<CallContext, 'signal' | 'onTrace'>,
  ): Promise<unknown> {
    const { id, command, actor, zone, progress } = call;
    const { engine } = this.options;
    const onProgress: CallContext['onProgress'] = step => {
      // News of this moment: while older bytes wait to be read, it is of no use.
      if (!this.socket.writableNeedDrain)
        this.send({ type: 'progress', id, progress: step } satisfies ProgressMessage);
    };
    const context: CallContext = {
      actor,
      ...more,
      ...(zone === undefined ? {} : { zone }),
      ...(progress ? { onProgress } : {}),
    };
    return (engine[method] as Forwarded).call(engine, command, context);
  }

  private sendAnswer(id: number, method: EngineMethod, value: unknown, trace: SearchTrace | undefined): void {
    try {
      this.send({ type: 'answer', id, value, trace } satisfies AnswerMessage);
    } catch (error) {
      if (!(error instanceof CodedError) || ENGINE_METHODS[method] === 'read') throw error;
      throw new CodedError(
        'TOO_LARGE',
        `the call was carried out, but its answer cannot be sent: ${error.message}`,
        'Do not repeat it: read what it changed.',
        { cause: error, ...(error.details === undefined ? {} : { details: error.details }) },
      );
    }
  }

  /** A coded error is an answer, and the client has it; one without a code is a defect, and nobody else sees its stack. */
  private logFailure({ method, id }: CallMessage, error: unknown): void {
    if (!isCoded(error))
      this.options.logger.error({ err: error, method, id }, 'a call failed without a code');
  }

  private send(message: object): void {
    const frame = encodeFrame(message);
    if (!this.socket.writable) return;
    if (!this.socket.write(frame)) this.socket.pause();
  }

  /** Resolves when no call is in flight, or after `timeoutMs`. */
  private idle(timeoutMs: number): Promise<void> {
    if (this.calls.size === 0) return Promise.resolve();
    return new Promise(resolve => {
      const timer = setTimeout(resolve, timeoutMs);
      this.onIdle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

const isEngineMethod = (method: string): method is EngineMethod => Object.hasOwn(ENGINE_METHODS, method);

const shuttingDown = () =>
  new CodedError(
    'ENGINE_CLOSED',
    'the server that has the store is shutting down',
    'Run the command again in a moment: it then opens the store itself.',
  );

/** Two builds of one version, as while developing. */
const unknownMethod = (method: string) =>
  new CodedError(
    'OWNER_VERSION_MISMATCH',
    `the server that has the store does not know ${JSON.stringify(method.slice(0, 32))}, this command does`,
    'Restart that server: it runs an earlier build.',
  );

/** The type of a message for the log, which may hold anything. */
const described = ({ type }: Message) => JSON.stringify(type.slice(0, 32));
