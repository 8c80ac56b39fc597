import type { WatchAnswer, WatchedChange } from '../../domain/watch.js';
import { type Address, parseUri } from '../resources/uri.js';
import { LogPoll, type LogPollOptions } from './log-poll.js';

/** The key in an update's `_meta` that holds the sequence number of the event which it tells of. */
export const SEQ_META_KEY = 'mcp-vector-server/seq';

export interface ResourceWatchOptions extends Omit<LogPollOptions, 'changed'> {
  /** Sends notifications/resources/updated. */
  updated(update: ResourceUpdate): Promise<void>;
}

export interface ResourceUpdate {
  /** As it was subscribed to. */
  readonly uri: string;
  readonly _meta: { readonly [SEQ_META_KEY]: number };
}

/** URIs of one connection at most. */
export const MAX_SUBSCRIBED = 10_000;

/**
 * The resources that one connection subscribed to, each told of when it changes. However many there are, one poll follows the log; with the
 * last of them it ends. A resource of a past moment never changes.
 */
export class ResourceWatch {
  /** By whatever names a subscription: a request's id, or the URI itself. */
  private readonly subscriptions = new Map<unknown, readonly string[]>();
  /** By what they are of, the URIs as they were given. */
  private targets = new Map<string, Set<string>>();
  private readonly poll: LogPoll;

  constructor(private readonly options: ResourceWatchOptions) {
    this.poll = new LogPoll({
      ...options,
      engine: () => options.engine(),
      changed: (answer, isCut) => this.tell(answer, isCut),
    });
  }

  /** How many URIs are subscribed to. */
  get size(): number {
    return [...this.subscriptions.values()].reduce((sum, uris) => sum + uris.length, 0);
  }

  /**
   * @param key names the subscription, in place of one of that name
   * @returns the event behind which changes are told; rejects with what the engine throws, and nothing is subscribed to then
   */
  async subscribe(key: unknown, uris: readonly string[]): Promise<number> {
    this.subscriptions.set(key, uris);
    this.index();
    try {
      return await this.poll.start();
    } catch (error) {
      this.unsubscribe(key);
      throw error;
    }
  }

  unsubscribe(key: unknown): void {
    if (!this.subscriptions.delete(key)) return;
    this.index();
    if (this.subscriptions.size === 0) this.poll.stop();
  }

  close(): void {
    this.subscriptions.clear();
    this.targets.clear();
    this.poll.stop();
  }

  private index(): void {
    this.targets = new Map();
    for (const uri of new Set([...this.subscriptions.values()].flat())) {
      const target = targetOf(uri);
      if (target === undefined) continue;
      const uris = this.targets.get(target) ?? new Set();
      this.targets.set(target, uris.add(uri));
    }
  }

  private async tell({ changed, head }: WatchAnswer, isCut: boolean): Promise<void> {
    const seqs = new Map<string, number>();
    const note = (target: string, seq: number) => {
      for (const uri of this.targets.get(target) ?? []) seqs.set(uri, Math.max(seq, seqs.get(uri) ?? 0));
    };
    if (isCut) for (const target of this.targets.keys()) note(target, head);
    else for (const change of changed) for (const target of targetsOf(change)) note(target, change.seq);
    for (const [uri, seq] of seqs) await this.options.updated({ uri, _meta: { [SEQ_META_KEY]: seq } });
  }
}

/** What a URI is of, as a key; undefined for what never changes, and for what is no URI of a resource. */
function targetOf(uri: string): string | undefined {
  let address: Address;
  try {
    address = parseUri(uri);
  } catch {
    // Whoever reads it is told what is wrong with it.
    return undefined;
  }
  if ('as_of' in address) return undefined;
  return keyOf(address);
}

const keyOf = (address: Address): string =>
  JSON.stringify([
    address.kind,
    'collection' in address ? address.collection : '',
    'id' in address ? address.id : '',
  ]);

/** The resources that a change changes. */
export function addressesOf({ collection, id }: WatchedChange): Address[] {
  return [
    { kind: 'collections' },
    { kind: 'collection', collection },
    ...(id === undefined
      ? []
      : [
          { kind: 'item' as const, collection, id },
          { kind: 'history' as const, collection, id },
        ]),
  ];
}

const targetsOf = (change: WatchedChange): string[] => addressesOf(change).map(keyOf);
