/**
 * Node's inspector (the DevTools protocol, https://chromedevtools.github.io/devtools-protocol/v8/): any Node process opens it when it gets SIGUSR1, so
 * that nothing of the product is changed, loaded or started otherwise for it.
 */

import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';

interface Socket {
  send(text: string): void;
  close(): void;
  addEventListener(type: string, listen: (event: { readonly data?: unknown }) => void): void;
}
type SocketClass = new (url: string) => Socket;

interface Reply {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly chunk?: string };
  readonly result?: { readonly result?: { readonly value?: unknown } };
  readonly error?: { readonly message: string };
}

export interface CollectedMemory extends NodeJS.MemoryUsage {
  /** Of the heap: byte code, machine code, and what belongs to them. */
  readonly code: number;
}

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

export class Inspector {
  private readonly waiting = new Map<number, Waiting>();
  private ids = 0;
  /** What is told of a snapshot while it is taken. */
  private takeChunk: ((chunk: string) => void) | undefined;

  private constructor(private readonly socket: Socket) {
    socket.addEventListener('message', ({ data }) => this.take(JSON.parse(String(data)) as Reply));
    socket.addEventListener('close', () => {
      for (const { reject } of this.waiting.values()) reject(new Error('the inspector is gone'));
    });
  }

  static async connect(url: string): Promise<Inspector> {
    const { WebSocket } = globalThis as { WebSocket?: SocketClass };
    if (WebSocket === undefined)
      throw new Error('this Node has no WebSocket: start it with --experimental-websocket');
    const socket = new WebSocket(url);
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener('open', () => resolve());
      socket.addEventListener('error', () => reject(new Error(`${url} is not reached`)));
    });
    return new Inspector(socket);
  }

  /** Memory of the process after a full collection, in bytes; twice, since finalizers let more go. */
  async collected(): Promise<CollectedMemory> {
    await this.ask('HeapProfiler.collectGarbage');
    await this.ask('HeapProfiler.collectGarbage');
    const expression = `(() => {
      const code = process.getBuiltinModule('node:v8').getHeapCodeStatistics();
      return JSON.stringify({
        ...process.memoryUsage(),
        code: code.code_and_metadata_size + code.bytecode_and_metadata_size,
      });
    })()`;
    const { result } = await this.ask('Runtime.evaluate', { expression });
    return JSON.parse(String(result!.result!.value)) as CollectedMemory;
  }

  /** Writes a heap snapshot to a file. The process does nothing else meanwhile. */
  async snapshot(path: string): Promise<void> {
    const stream = createWriteStream(path, { mode: 0o600 });
    this.takeChunk = chunk => stream.write(chunk);
    const taken = this.ask('HeapProfiler.takeHeapSnapshot').then(() => stream.end());
    await Promise.all([taken, finished(stream)]);
    this.takeChunk = undefined;
  }

  close(): void {
    this.socket.close();
  }

  private ask(method: string, params: object = {}): Promise<Reply> {
    const id = ++this.ids;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.socket.send(JSON.stringify({ id, method, params }));
    });
  }

  private take(reply: Reply): void {
    if (reply.method === 'HeapProfiler.addHeapSnapshotChunk') this.takeChunk?.(reply.params!.chunk!);
    const waiting = this.waiting.get(reply.id ?? 0);
    if (waiting === undefined) return;
    this.waiting.delete(reply.id!);
    if (reply.error === undefined) waiting.resolve(reply);
    else waiting.reject(new Error(reply.error.message));
  }
}
