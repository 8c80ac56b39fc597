import { availableParallelism } from 'node:os';
import type { Embedded, PassageRange } from '../../domain/model.js';
import type { WorkerSettings } from './protocol.js';
import { cancelled, ModelThread, unavailable } from './thread.js';

export interface PoolOptions {
  /** Threads at most, the first one included. Default: one a core, four at most. */
  readonly maxThreads?: number;
  /** Milliseconds without work after which a further thread ends. Default: 10 000. */
  readonly idleThreadMs?: number;
}

/** UTF-16 code units of the texts that go to a thread in one message, unless one text alone is longer: about four windows. */
const PIECE_CHARS = 2000;

/** A thread has the next piece at hand when it finishes one, so that it never waits for this side. */
const PIECES_IN_HAND = 2;

/**
 * Code units that have to wait before a further thread is started, which costs a fifth of a second of a core and its own
 * copy of the model: about sixteen windows, more than half a second of work.
 */
const BULK_CHARS = 8000;

/** Texts of one caller; texts[0 … next) were handed out. */
interface TextsCall {
  readonly texts: readonly string[];
  /** Whether it is bulk work all by itself: it then lets smaller calls go first. */
  readonly isBulk: boolean;
  next: number;
  readonly answer: Embedded[];
  unanswered: number;
  /** Calls back the pieces that threads have in hand. */
  readonly stop: AbortController;
  readonly resolve: (answer: Embedded[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The threads that embed. The first one answers all queries and stays loaded; further ones are started while many texts
 * wait, take pieces from the same queue, and end once there was nothing for them to do. A text's vectors do not depend on
 * the thread, as each holds the same model and sees one text at a time. Nothing here keeps the process alive but
 * pending calls.
 */
export class ThreadPool {
  readonly #settings: () => WorkerSettings;
  readonly #maxThreads: number;
  readonly #idleThreadMs: number;
  readonly #first: ModelThread;
  #further: ModelThread[] = [];
  /** Unanswered calls in the order of their coming. */
  readonly #calls = new Set<TextsCall>();
  #idleTimer: NodeJS.Timeout | undefined;
  /** Settles when every further thread that was let go has ended. */
  #ended: Promise<unknown> = Promise.resolve();

  /** @param settings asked for at each start of a thread; may throw a CodedError, which the call then rejects with */
  constructor(settings: () => WorkerSettings, options: PoolOptions = {}) {
    this.#settings = settings;
    this.#maxThreads = options.maxThreads ?? Math.min(4, availableParallelism());
    this.#idleThreadMs = options.idleThreadMs ?? 10_000;
    this.#first = new ModelThread(settings);
  }

  /** The first thread's state (see ModelThread.state), with `, 2 more threads` while there are any. */
  state(): string {
    const further = this.#further.length;
    return `${this.#first.state()}${further === 0 ? '' : `, ${further} more thread${further === 1 ? '' : 's'}`}`;
  }

  /** Overtakes all texts. @throws as ModelThread.call */
  embedQuery(text: string, signal?: AbortSignal): Promise<Float32Array> {
    return this.#first.call({ kind: 'query', text }, signal);
  }

  /** Overtakes all texts. @throws as ModelThread.call */
  cut(text: string): Promise<PassageRange[]> {
    return this.#first.call({ kind: 'cut', text });
  }

  /**
   * Embeds texts, on several threads if there are many.
   * @throws as ModelThread.call; where a thread died, only the calls that it had texts of in hand
   */
  async embedTexts(texts: readonly string[], signal?: AbortSignal): Promise<Embedded[]> {
    if (signal?.aborted) throw cancelled();
    if (texts.length === 0) return [];
    let abort: (() => void) | undefined;
    try {
      return await new Promise<Embedded[]>((resolve, reject) => {
        const call: TextsCall = {
          texts,
          isBulk: isMoreThan(BULK_CHARS, texts),
          next: 0,
          answer: [],
          unanswered: texts.length,
          stop: new AbortController(),
          resolve,
          reject,
        };
        abort = () => this.#fail(call, cancelled());
        signal?.addEventListener('abort', abort, { once: true });
        this.#calls.add(call);
        this.#handOut();
      });
    } finally {
      if (abort !== undefined) signal?.removeEventListener('abort', abort);
    }
  }

  /** Ends all threads; pending calls are rejected. */
  async close(): Promise<void> {
    clearTimeout(this.#idleTimer);
    const threads = [this.#first, ...this.#further];
    this.#further = [];
    for (const call of [...this.#calls])
      this.#fail(call, unavailable('it was closed', 'Open the store again.'));
    await Promise.all([this.#ended, ...threads.map(thread => thread.close())]);
  }

  /** Gives pieces to threads until nothing waits or all have enough. */
  #handOut(): void {
    for (;;) {
      const call = this.#nextCall();
      const thread = call && this.#freeThread();
      if (call === undefined || thread === undefined) return;
      const start = call.next;
      call.next = pieceEnd(call.texts, start);
      void this.#embedPiece(thread, call, start, call.next);
    }
  }

  /** Never rejects: what goes wrong is the call's. */
  async #embedPiece(thread: ModelThread, call: TextsCall, start: number, end: number): Promise<void> {
    try {
      const texts = call.texts.slice(start, end);
      const embedded = await thread.call({ kind: 'texts', texts }, call.stop.signal);
      for (const [i, one] of embedded.entries()) call.answer[start + i] = one;
      call.unanswered -= embedded.length;
      if (call.unanswered === 0 && this.#calls.delete(call)) call.resolve(call.answer);
    } catch (error) {
      this.#fail(call, error);
    }
    if (this.#further.includes(thread)) this.#endWhenIdle();
    this.#handOut();
  }

  /** Rejects a call that is still pending, and drops what is left of it. */
  #fail(call: TextsCall, error: unknown): void {
    if (!this.#calls.delete(call)) return;
    call.reject(error);
    call.stop.abort();
  }

  /** The call whose turn it is: what an agent wants to remember does not wait until a folder is read. */
  #nextCall(): TextsCall | undefined {
    let firstBulk: TextsCall | undefined;
    for (const call of this.#calls) {
      if (call.next === call.texts.length) continue;
      if (!call.isBulk) return call;
      firstBulk ??= call;
    }
    return firstBulk;
  }

  /** The thread with the least in hand, or a new one where it is worth it; undefined if the next piece has to wait. */
  #freeThread(): ModelThread | undefined {
    const threads = [this.#first, ...this.#further];
    const free = threads.reduce((least, thread) => (thread.pending < least.pending ? thread : least));
    if (free.pending < PIECES_IN_HAND) return free;
    if (threads.length >= this.#maxThreads || !isMoreThan(BULK_CHARS, this.#waitingTexts())) return undefined;
    const thread = new ModelThread(this.#settings);
    this.#further.push(thread);
    return thread;
  }

  *#waitingTexts(): Generator<string> {
    for (const { texts, next } of this.#calls) {
      for (let i = next; i < texts.length; i++) yield texts[i]!;
    }
  }

  /** Ends the further threads that have nothing in hand, a while after any of them last had. */
  #endWhenIdle(): void {
    clearTimeout(this.#idleTimer);
    const end = () => {
      const idle = this.#further.filter(thread => thread.pending === 0);
      this.#further = this.#further.filter(thread => thread.pending > 0);
      this.#ended = Promise.all([this.#ended, ...idle.map(thread => thread.close())]);
    };
    this.#idleTimer = setTimeout(end, this.#idleThreadMs).unref();
  }
}

/** Whether texts have more than `chars` code units together; looks at no more of them than it needs. */
function isMoreThan(chars: number, texts: Iterable<string>): boolean {
  let sum = 0;
  for (const text of texts) {
    sum += text.length;
    if (sum > chars) return true;
  }
  return false;
}

/** Index behind the last text of the piece that begins with texts[start]. */
function pieceEnd(texts: readonly string[], start: number): number {
  let end = start + 1;
  let chars = texts[start]!.length;
  while (end < texts.length && chars + texts[end]!.length <= PIECE_CHARS) chars += texts[end++]!.length;
  return end;
}
