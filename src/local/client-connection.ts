import type { Socket } from 'node:net';
import type { Terms } from '../config.js';
import { CodedError } from '../domain/errors.js';
import { type CallContext, ENGINE_METHODS, type EngineMethod, type Progress } from '../domain/face.js';
import { BadFrame, encodeFrame, FrameReader, isObject, MAX_FRAME_BYTES, type Message } from './frames.js';
import {
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
  type CallMessage,
  type CancelMessage,
  fromWire,
  type MemoryMessage,
  type PingMessage,
  readId,
  readLeaving,
  readTrace,
} from './protocol.js';

export interface ClientOptions {
  readonly token: string;
  /** Real path of the store. */
  readonly storePath: string;
  /** Who the owner is, for messages. */
  readonly ownerName: string;
  /** What this process was configured with, where the owner must be alike; see termsOf. */
  readonly terms?: Terms | undefined;
  /** See ConnectOptions. */
  readonly silenceMs: number;
  /** Tell the owner now and then what this process takes, as a window does that stays. Default: say nothing. */
  readonly tellsMemory?: boolean | undefined;
}

/** How often an owner is asked within the time that it may be silent. */
const PINGS = 3;
/** More often than an owner takes samples. */
const MEMORY_MS = 20_000;

/** A call that has not been answered. */
interface Pending {
  readonly isRead: boolean;
  readonly onProgress: ((progress: Progress) => void) | undefined;
  readonly onTrace: CallContext['onTrace'] | undefined;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** The owner went away in the middle of the handshake: nothing had been asked of it. */
class OwnerGone extends Error {}

/** The calling side of one connection. */
export class ClientConnection {
  private readonly reader = new FrameReader();
  private readonly pending = new Map<number, Pending>();
  /** Resolves when the connection has ended, whoever ended it. */
  readonly closed: Promise<void>;
  private nextId = 1;
  /** The last call that an owner in good order received before it ended: later ones were not begun. */
  private received = Number.POSITIVE_INFINITY;
  /** Set while the handshake waits for the owner's next word. */
  private waiting: { resolve(message: Message): void; reject(error: Error): void } | undefined;
  private isReady = false;
  private pulse: NodeJS.Timeout | undefined;
  private telling: NodeJS.Timeout | undefined;
  private heardMs = 0;
  /** Why this side ended the connection. */
  private failure: CodedError | BadFrame | undefined;

  constructor(
    private readonly socket: Socket,
    private readonly options: ClientOptions,
  ) {
    this.closed = new Promise(resolve => socket.once('close', resolve));
    socket.once('close', () => this.onClose());
    // 'close' follows, and what it means depends on what was asked.
    socket.on('error', () => undefined);
    socket.on('data', bytes => this.onData(bytes));
  }

  /**
   * Both sides prove themselves, the owner first.
   * @returns false where the owner went away in the middle: nothing was asked of it
   * @throws CodedError OWNER_UNRESPONSIVE, OWNER_VERSION_MISMATCH, OWNER_AUTH_FAILED, OWNER_BUSY; the connection is closed then
   */
  async shakeHands(timeoutMs: number): Promise<boolean> {
    const timer = setTimeout(() => this.fail(this.unresponsive(timeoutMs)), timeoutMs);
    try {
      const clientNonce = newNonce();
      this.send({ type: 'hello', ...OWN_VERSION, nonce: clientNonce });
      const transcript = this.checkChallenge(clientNonce, await this.next('challenge'));
      this.send({ type: 'proof', proof: proofOf('client', transcript), terms: this.options.terms });
      await this.next('welcome');
      this.isReady = true;
      this.reader.maxBytes = MAX_FRAME_BYTES;
      if (this.options.tellsMemory) this.tellMemory();
      return true;
    } catch (error) {
      this.socket.destroy();
      if (error instanceof OwnerGone) return false;
      if (error instanceof BadFrame) throw unproved(`${this.impostor()} sent ${error.message}`);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Calls a method of the owner's engine. Aborting the context's signal aborts the work there; the answer says what came of it.
   * @throws what the engine throws; OWNER_LOST or OUTCOME_UNKNOWN where the owner ended first; TOO_LARGE
   */
  call(method: EngineMethod, command: object, context: CallContext): Promise<unknown> {
    const { actor, zone, signal, onProgress, onTrace } = context;
    const id = this.nextId++;
    const onAbort = () => this.send({ type: 'cancel', id } satisfies CancelMessage);
    const answered = new Promise((resolve, reject) => {
      // Nothing will be sent, so nothing can have been written either.
      if (!this.socket.writable) throw this.lost(true);
      const progress = onProgress !== undefined;
      const trace = onTrace !== undefined;
      this.send({ type: 'call', id, method, command, actor, zone, progress, trace } satisfies CallMessage);
      this.pending.set(id, { isRead: isRead(method, command), onProgress, onTrace, resolve, reject });
      this.listen();
      signal?.addEventListener('abort', onAbort, { once: true });
      if (signal?.aborted) onAbort();
    });
    return answered.finally(() => signal?.removeEventListener('abort', onAbort));
  }

  /** Ends the connection; a call in flight is answered as if the owner had ended. */
  async close(): Promise<void> {
    this.socket.destroySoon();
    await this.closed;
  }

  private tellMemory(): void {
    const tell = () =>
      this.send({
        type: 'memory',
        pid: process.pid,
        rss_bytes: process.memoryUsage.rss(),
      } satisfies MemoryMessage);
    tell();
    this.telling = setInterval(tell, MEMORY_MS).unref();
  }

  /** Watches over the owner while calls wait for it: a process that is stopped keeps its connections. */
  private listen(): void {
    if (this.pulse !== undefined) return;
    const { silenceMs } = this.options;
    this.heardMs = performance.now();
    this.pulse = setInterval(() => {
      const silentForMs = performance.now() - this.heardMs;
      if (this.pending.size === 0) this.stopListening();
      else if (silentForMs < silenceMs) this.send({ type: 'ping' } satisfies PingMessage);
      // This process may itself have stood still: what has come in meanwhile is read first.
      else setImmediate(() => this.giveUpIfSilent());
    }, silenceMs / PINGS).unref();
  }

  private stopListening(): void {
    clearInterval(this.pulse);
    this.pulse = undefined;
  }

  private giveUpIfSilent(): void {
    const { silenceMs } = this.options;
    if (this.pending.size > 0 && performance.now() - this.heardMs >= silenceMs)
      this.fail(this.unresponsive(silenceMs));
  }

  private onData(bytes: Buffer): void {
    this.heardMs = performance.now();
    try {
      this.reader.push(bytes, message => {
        if (!this.socket.destroyed) this.receive(message);
      });
    } catch (error) {
      if (!(error instanceof BadFrame)) throw error;
      this.fail(error);
    }
  }

  private receive(message: Message): void {
    if (this.isReady) {
      this.settle(message);
      return;
    }
    const { waiting } = this;
    if (waiting === undefined) throw new BadFrame('a message out of turn');
    this.waiting = undefined;
    waiting.resolve(message);
  }

  private fail(reason: CodedError | BadFrame): void {
    this.failure ??= reason;
    this.socket.destroy();
  }

  private onClose(): void {
    clearInterval(this.telling);
    this.stopListening();
    this.waiting?.reject(this.failure ?? new OwnerGone());
    for (const [id, { isRead, reject }] of this.pending) reject(this.lost(isRead || id > this.received));
    this.pending.clear();
  }

  /** The owner's next word in the handshake. @throws the owner's refusal; BadFrame; OwnerGone */
  private async next(type: 'challenge' | 'welcome'): Promise<Message> {
    if (this.socket.destroyed) throw this.failure ?? new OwnerGone();
    const message = await new Promise<Message>((resolve, reject) => {
      this.waiting = { resolve, reject };
    });
    if (message.type === 'refused') throw fromWire(message.error);
    if (message.type !== type) throw new BadFrame(`no ${type}`);
    return message;
  }

  private checkChallenge(clientNonce: string, challenge: Message): Transcript {
    assertSameVersion(challenge, 'owner');
    if (!isNonce(challenge.nonce)) throw new BadFrame('a challenge without a nonce');
    const { token, storePath } = this.options;
    const transcript = { token, storePath, clientNonce, ownerNonce: challenge.nonce };
    if (!isProofOf('owner', transcript, challenge.proof))
      throw unproved(`${this.impostor()} did not prove that it knows the store's token`);
    return transcript;
  }

  private settle(message: Message): void {
    if (message.type === 'pong') return;
    if (message.type === 'leaving') {
      this.received = readLeaving(message);
      return;
    }
    const id = readId(message);
    const call = this.pending.get(id);
    if (message.type === 'progress') {
      if (isObject(message.progress)) call?.onProgress?.(message.progress as unknown as Progress);
      return;
    }
    if (call === undefined) throw new BadFrame('an answer that nobody asked for');
    if (message.type === 'answer') {
      const trace = readTrace(message);
      if (trace !== undefined) call.onTrace?.(trace);
      call.resolve(message.value);
    } else if (message.type === 'error') call.reject(fromWire(message.error));
    else throw new BadFrame('a message that is no answer');
    this.pending.delete(id);
  }

  private send(message: object): void {
    const frame = encodeFrame(message);
    if (this.socket.writable) this.socket.write(frame);
  }

  private impostor(): string {
    return `what listens in the name of ${this.options.ownerName}`;
  }

  private unresponsive(timeoutMs: number): CodedError {
    return new CodedError(
      'OWNER_UNRESPONSIVE',
      `${this.options.ownerName} does not answer within ${timeoutMs} ms: it is stopped, or stuck`,
      'Let it go on (kill -CONT), or end it: another process then takes the store over.',
    );
  }

  private lost(isRead: boolean): CodedError {
    const { failure } = this;
    if (failure instanceof CodedError && isRead) return failure;
    const what =
      failure instanceof CodedError
        ? failure.message
        : `${this.options.ownerName} ended before it answered${failure === undefined ? '' : ` (it sent ${failure.message})`}`;
    return isRead
      ? new CodedError('OWNER_LOST', `${what}; nothing was changed`, 'Repeat the call.', {
          details: { retryable: true },
        })
      : new CodedError(
          'OUTCOME_UNKNOWN',
          `${what}: the write may or may not be stored`,
          'Read what it would have changed before you repeat it.',
          { details: { retryable: false } },
        );
  }
}

/** A dry run of a write changes nothing either. */
function isRead(method: EngineMethod, command: { readonly dry_run?: boolean }): boolean {
  return ENGINE_METHODS[method] === 'read' || command.dry_run === true;
}
