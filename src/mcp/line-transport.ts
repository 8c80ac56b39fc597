import { isUtf8 } from 'node:buffer';
import type { Readable, Writable } from 'node:stream';
import { IdScanner } from './id-scanner.js';
import {
  type JSONRPCMessage,
  ProtocolErrorCode,
  parseJSONRPCMessage,
  type RequestId,
  type Transport,
} from './sdk.js';

/** The SDKs' own stdio buffers end at the same size. */
const MAX_MESSAGE_BYTES = 10 * 1024 * 1024;
/** SDK clients wait 2 s between closing a server's stdin and SIGTERM. */
const DRAIN_MS = 1_500;

export interface LineTransportOptions {
  /** Longest message that is taken in, in bytes without its newline. Default: 10 MiB. */
  readonly maxMessageBytes?: number;
  /** How long requests in flight may still be answered after the input has ended, in ms. Default: 1500. */
  readonly drainMs?: number;
}

const NEWLINE = 0x0a;

/**
 * MCP over a pair of streams, a JSON message a line. Unlike the SDK's stdio transport it survives whatever comes in:
 * a message beyond the limit is answered with TOO_LARGE (there the process would end), and what is no JSON-RPC message
 * with an error (there it is dropped in silence). While the output has unsent bytes, it does not read on.
 * At the end of the input it lets requests in flight be answered before it closes.
 */
export class LineTransport implements Transport {
  onclose?: (() => void) | undefined;
  onerror?: ((error: Error) => void) | undefined;
  onmessage?: Transport['onmessage'];

  /** Resolves when the transport has closed, whichever side wanted it. */
  readonly closed: Promise<void>;

  private readonly maxMessageBytes: number;
  private readonly drainMs: number;
  private resolveClosed!: () => void;
  private isClosed = false;
  private isEnding = false;
  /** Holds the first sizeBytes of the line that is coming in; grows by doubling, since they may come one by one. */
  private line = Buffer.alloc(0);
  private sizeBytes = 0;
  /** Set while the rest of a line beyond the limit passes by. */
  private oversized: IdScanner | undefined;
  private readonly unanswered = new Set<RequestId>();
  private onAllAnswered: (() => void) | undefined;

  constructor(
    private readonly input: Readable,
    private readonly output: Writable,
    { maxMessageBytes = MAX_MESSAGE_BYTES, drainMs = DRAIN_MS }: LineTransportOptions = {},
  ) {
    this.maxMessageBytes = maxMessageBytes;
    this.drainMs = drainMs;
    this.closed = new Promise(resolve => {
      this.resolveClosed = resolve;
    });
  }

  async start(): Promise<void> {
    this.output.on('error', this.onOutputError);
    this.output.on('drain', this.onDrain);
    this.input.on('data', this.onData);
    this.input.on('error', this.onInputError);
    this.input.once('end', this.onEnd);
    this.input.once('close', this.onEnd);
  }

  async send(message: JSONRPCMessage): Promise<void> {
    if (this.isClosed) throw new Error('the connection is closed');
    if (!('method' in message) && message.id !== undefined) this.answered(message.id);
    await this.write(message);
  }

  /** Stops reading, waits (at most drainMs) until what was asked is answered and written, then closes. */
  async end(): Promise<void> {
    if (this.isEnding) return this.closed;
    this.isEnding = true;
    this.input.pause();
    await this.drained();
    await this.close();
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    this.input.off('data', this.onData);
    this.input.off('error', this.onInputError);
    this.input.off('end', this.onEnd);
    this.input.off('close', this.onEnd);
    this.output.off('drain', this.onDrain);
    this.input.pause();
    this.onclose?.();
    this.resolveClosed();
  }

  private drained(): Promise<void> {
    if (this.unanswered.size === 0) return Promise.resolve();
    return new Promise(resolve => {
      const timer = setTimeout(resolve, this.drainMs);
      this.onAllAnswered = () => {
        clearTimeout(timer);
        // One turn later, when the last answer has been written.
        setImmediate(resolve);
      };
    });
  }

  private answered(id: RequestId): void {
    this.unanswered.delete(id);
    if (this.unanswered.size === 0) this.onAllAnswered?.();
  }

  private write(message: object): Promise<void> {
    return new Promise((resolve, reject) => {
      const taken = this.output.write(`${JSON.stringify(message)}\n`, error => {
        if (error) reject(error);
        else resolve();
      });
      if (!taken && !this.isEnding) this.input.pause();
    });
  }

  private readonly onDrain = () => {
    if (!this.isEnding && !this.isClosed) this.input.resume();
  };

  /** Nobody reads the answers any more. */
  private readonly onOutputError = (error: Error) => {
    this.onerror?.(error);
    void this.close();
  };

  private readonly onInputError = (error: Error) => {
    this.onerror?.(error);
  };

  private readonly onEnd = () => {
    if (this.isEnding || this.isClosed) return;
    // A last line may come without its newline.
    if (this.sizeBytes > 0) this.endLine();
    void this.end();
  };

  private readonly onData = (chunk: Buffer) => {
    let start = 0;
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, start)) {
      this.take(chunk.subarray(start, at));
      this.endLine();
      start = at + 1;
    }
    this.take(chunk.subarray(start));
  };

  private take(part: Buffer): void {
    const sizeBytes = this.sizeBytes + part.length;
    if (this.oversized === undefined && sizeBytes > this.maxMessageBytes) {
      this.oversized = new IdScanner();
      this.oversized.scan(this.line.subarray(0, this.sizeBytes));
      this.line = Buffer.alloc(0);
    }
    if (this.oversized === undefined) this.keep(part);
    else this.oversized.scan(part);
    this.sizeBytes = sizeBytes;
  }

  private keep(part: Buffer): void {
    const sizeBytes = this.sizeBytes + part.length;
    if (sizeBytes > this.line.length) {
      const grown = Buffer.alloc(Math.max(sizeBytes, 2 * this.line.length));
      this.line.copy(grown, 0, 0, this.sizeBytes);
      this.line = grown;
    }
    part.copy(this.line, this.sizeBytes);
  }

  private endLine(): void {
    const { oversized, sizeBytes } = this;
    const line = this.line.subarray(0, sizeBytes);
    this.line = Buffer.alloc(0);
    this.sizeBytes = 0;
    this.oversized = undefined;
    if (oversized === undefined) this.receive(line);
    else this.refuseOversized(oversized.id ?? null, sizeBytes);
  }

  private refuseOversized(id: RequestId | null, sizeBytes: number): void {
    this.refuse(
      id,
      ProtocolErrorCode.InvalidRequest,
      `TOO_LARGE: a message of ${sizeBytes} bytes, at most ${this.maxMessageBytes} are taken. Split it into several calls.`,
      { code: 'TOO_LARGE', limit_bytes: this.maxMessageBytes },
    );
  }

  private receive(line: Buffer): void {
    if (!isUtf8(line)) {
      this.refuse(null, ProtocolErrorCode.ParseError, 'Parse error: the line is not valid UTF-8');
      return;
    }
    const text = line.toString('utf8').trim();
    if (text === '') return;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      this.refuse(null, ProtocolErrorCode.ParseError, 'Parse error: the line is not JSON');
      return;
    }
    if (Array.isArray(value)) {
      this.refuse(
        null,
        ProtocolErrorCode.InvalidRequest,
        'Invalid request: batches are not supported, send one message a line',
      );
      return;
    }
    let message: JSONRPCMessage;
    try {
      message = parseJSONRPCMessage(value);
    } catch {
      this.refuse(
        idOf(value),
        ProtocolErrorCode.InvalidRequest,
        'Invalid request: not a JSON-RPC 2.0 message',
      );
      return;
    }
    this.deliver(message);
  }

  private deliver(message: JSONRPCMessage): void {
    if ('method' in message) {
      // A subscription is answered when it ends.
      if ('id' in message && message.method !== 'subscriptions/listen') this.unanswered.add(message.id);
      // A cancelled request is never answered.
      else if (message.method === 'notifications/cancelled')
        this.answered(message.params?.requestId as RequestId);
    }
    this.onmessage?.(message);
  }

  private refuse(id: RequestId | null, code: number, message: string, data?: object): void {
    this.onerror?.(new Error(message));
    const error = { code, message, ...(data === undefined ? {} : { data }) };
    this.write({ jsonrpc: '2.0', id, error }).catch(failure => this.onerror?.(failure));
  }
}

/** The id of something that is no JSON-RPC request, where it is at least an id that a request could have. */
function idOf(value: unknown): RequestId | null {
  if (typeof value !== 'object' || value === null || !('method' in value)) return null;
  const id = (value as { id?: unknown }).id;
  return typeof id === 'string' || (typeof id === 'number' && Number.isSafeInteger(id)) ? id : null;
}
