/**
 * A client at a steady pace: writes, overwrites and deletes a fixed set of ids that are its own, asks for them in every way there is, now and as of
 * moments of the last minute, and compares each answer with what it knows.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connect, SoakClient } from './clients.js';
import { Documents } from './documents.js';
import { NOTES, OwnData } from './own-data.js';
import { Questions } from './questions.js';
import type { Tally } from './tally.js';
import { Writes } from './writes.js';

export interface WorkerOptions {
  readonly name: string;
  readonly connect: Connect;
  readonly tally: Tally;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly pauseMs: number;
  /** Moments of the past that are asked for are younger. */
  readonly pastMs: number;
  readonly reconnectMs: number;
  /** Where files lie that it ingests; undefined: it ingests none. */
  readonly documents: string | undefined;
  readonly isOver: () => boolean;
}

type Doing = readonly [share: number, name: string, does: () => Promise<unknown>];

export class Worker {
  private client!: SoakClient;
  private unsubscribe: (() => Promise<unknown>) | undefined;
  private readonly writes: Writes;
  private readonly questions: Questions;
  private readonly doings: readonly Doing[];

  constructor(private readonly options: WorkerOptions) {
    const { name, random, tally, pastMs, documents } = options;
    const data = new OwnData({
      ...{ name, random, tally, pastMs },
      call: (tool, args) => this.client.call(tool, args),
    });
    const questions = new Questions(data);
    const writes = new Writes(
      data,
      questions,
      documents === undefined ? undefined : new Documents(documents, name),
    );
    this.questions = questions;
    this.writes = writes;
    this.doings = [
      [24, 'upsert', () => writes.write(1)],
      [3, 'upsert of several', () => writes.write(2 + data.pick(5))],
      [5, 'change of metadata', () => writes.annotate()],
      [7, 'delete', () => writes.remove()],
      [2, 'undo', () => writes.undo()],
      [0.2, 'mark', () => writes.mark()],
      [documents === undefined ? 0 : 2, 'ingest', () => writes.ingest()],
      [12, 'get', () => questions.get()],
      [5, 'list', () => questions.list()],
      [10, 'search by words', () => questions.searchWord()],
      [8, 'search by meaning', () => questions.searchMeaning()],
      [7, 'search by vector', () => questions.searchVector()],
      [6, 'get as of', () => questions.getAsOf()],
      [3, 'search as of', () => questions.searchAsOf()],
      [4, 'history', () => questions.history()],
      [3, 'diff', () => questions.diff()],
      [2, 'status', () => questions.status()],
      [1, 'list of tools', () => this.client.listTools()],
      [2, 'resource', () => this.client.read(`vector://${NOTES}`)],
      [1, 'subscription', () => this.subscribeAnew()],
    ];
  }

  /** Of its window, where it has one. */
  get pid(): number | undefined {
    return this.client.pid;
  }

  async open(): Promise<void> {
    this.client = await this.options.connect();
    await this.subscribeAnew();
  }

  /** Writes something of each kind, so that there is something to ask for. */
  async begin(): Promise<void> {
    await this.writes.begin();
  }

  /** Works until it is over. Whatever goes wrong is a failure, and it goes on. */
  async work(): Promise<void> {
    const { isOver, pauseMs, reconnectMs, random } = this.options;
    let nextMs = performance.now();
    let reconnectsMs = nextMs + reconnectMs * (0.5 + random());
    while (!isOver()) {
      // A call that took longer is not made up for.
      nextMs = Math.max(nextMs + pauseMs, performance.now());
      await sleep(nextMs - performance.now());
      if (this.client.pid === undefined && performance.now() > reconnectsMs) {
        reconnectsMs = performance.now() + reconnectMs;
        await this.attempt('reconnection', () => this.reconnect());
      }
      const [, what, does] = this.choose();
      await this.attempt(what, does);
    }
    this.countUpdates();
  }

  /** All that lives, and what is gone, is as it is known. */
  compareAll(): Promise<void> {
    return this.questions.compareAll();
  }

  async close(): Promise<void> {
    await this.unsubscribe?.();
    this.unsubscribe = undefined;
    await this.client.close();
  }

  private async reconnect(): Promise<void> {
    this.countUpdates();
    await this.close();
    await this.open();
  }

  private async subscribeAnew(): Promise<void> {
    await this.unsubscribe?.();
    this.unsubscribe = await this.client.subscribe(`vector://${NOTES}`);
  }

  private countUpdates(): void {
    this.options.tally.count(`updates told to ${this.options.name}`, this.client.updates());
  }

  private async attempt(what: string, does: () => Promise<unknown>): Promise<void> {
    const { tally, name } = this.options;
    try {
      await does();
      tally.count(what);
    } catch (error) {
      tally.fail(`${name}, ${what}: ${(error as Error).message}`);
    }
  }

  private choose(): Doing {
    const total = this.doings.reduce((sum, [share]) => sum + share, 0);
    let dice = this.options.random() * total;
    return this.doings.find(([share]) => {
      dice -= share;
      return dice < 0;
    })!;
  }
}
