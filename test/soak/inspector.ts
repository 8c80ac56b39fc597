/**
 * Node's inspector (the DevTools protocol, https://chromedevtools.github.io/devtools-protocol/v8/): any Node process opens it when it gets SIGUSR1, so
 * that nothing of the product is changed, loaded or started otherwise for it.
 */

interface Socket {
  send(text: string): void;
  close(): void;
  addEventListener(type: string, listen: (event: { readonly data?: unknown }) => void): void;
}
type SocketClass = new (url: string) => Socket;

interface Reply {
  readonly id?: number;
  readonly result?: { readonly result?: { readonly value?: unknown } };
  readonly error?: { readonly message: string };
}

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

export class Inspector {
  private readonly waiting = new Map<number, Waiting>();
  private ids = 0;

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
  async collected(): Promise<NodeJS.MemoryUsage> {
    await this.ask('HeapProfiler.collectGarbage');
    await this.ask('HeapProfiler.collectGarbage');
    const expression = 'JSON.stringify(process.memoryUsage())';
    const { result } = await this.ask('Runtime.evaluate', { expression });
    return JSON.parse(String(result!.result!.value)) as NodeJS.MemoryUsage;
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
    const waiting = this.waiting.get(reply.id ?? 0);
    if (waiting === undefined) return;
    this.waiting.delete(reply.id!);
    if (reply.error === undefined) waiting.resolve(reply);
    else waiting.reject(new Error(reply.error.message));
  }
}
