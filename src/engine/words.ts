import { KeywordIndex, type KeywordUnpacking } from '../projections/keywords/keyword-index.js';

/** Texts may wait for their words to be indexed until nothing was written for QUIET_MS, up to these bounds: some 50 ms of work. */
const WAITING_TEXTS = 6144;
const WAITING_CHARS = 1024 * 1024;
/** Beyond this share of them the time in which the disk is at work is used; up to it that is left to the disk, which needs a core as well. */
const WAITING_SHARE = 0.5;
const QUIET_MS = 100;
/** Unpacking saved words waits for so long: what was asked for when the store was opened comes first. */
const START_AFTER_MS = 250;
/** What waits longer goes on for so long, then the event loop gets its turn. */
const SLICE_MS = 3;
const PAUSE_MS = 1;
/** The same while somebody waits for it. */
const AWAITED_SLICE_MS = 10;
/** Texts that wait are kept up to so many characters; those beyond are read again when their turn comes. */
const KEPT_CHARS = 32 * 1024 * 1024;

/** What the words need of the rest. */
export interface WordsSource {
  /** The text of a version. */
  readonly textOf: (ordinal: number) => string;
  /** Told when the words that were saved cannot be used: they are indexed anew. */
  readonly onDamage: (error: Error) => void;
}

/**
 * The words of all texts, which take longer to find than all the rest of applying a text: so they follow in the background, and whoever
 * asks for them gets all. The same for words that were saved, which take a while to unpack.
 */
export class Words {
  private keywords = KeywordIndex.empty();
  private unpacking: KeywordUnpacking | undefined;
  private source: WordsSource | undefined;
  /** Texts of ordinals below it are indexed. */
  private next = 0;
  /** Texts of ordinals below it are there to be indexed. */
  private end = 0;
  private readonly texts = new Map<number, string>();
  private textsChars = 0;
  private timer: NodeJS.Timeout | undefined;
  /** Much waits, and is done little by little, whatever comes to it. */
  private isDraining = false;
  private isClosed = false;
  /** How often saved words turned out to be unusable. */
  refusals = 0;

  /**
   * Words that were saved. The versions that they depend on are looked at now, the rest when it is needed, or soon.
   * @throws CodedError KEYWORDS_DAMAGED, KEYWORDS_OUTDATED
   */
  static load(bytes: Uint8Array): Words {
    const words = new Words();
    words.unpacking = KeywordIndex.unpack(bytes);
    words.next = words.unpacking.docs;
    words.end = words.next;
    return words;
  }

  /**
   * To be called once, before anything else.
   * @param size how many ordinals there are
   */
  start(source: WordsSource, size: number): void {
    this.source = source;
    this.end = size;
    if (this.isBehind) this.goOnIn(START_AFTER_MS);
  }

  /**
   * Takes the text of the next ordinal.
   * @param isReplay more follow at once, and nobody asks before the last of them: all of them wait for `goOnLater`
   */
  add(ordinal: number, text: string, isReplay: boolean): void {
    this.end = ordinal + 1;
    if (this.textsChars < KEPT_CHARS) {
      this.texts.set(ordinal, text);
      this.textsChars += text.length;
    }
    if (isReplay || this.isDraining) return;
    // One by one, so that no write pays for many.
    while (this.unpacking === undefined && this.isBeyond(1)) this.indexNext();
    if (this.unpacking !== undefined && this.isBeyond(1)) this.work(Number.POSITIVE_INFINITY);
  }

  /** True if more texts wait than a share of what may. */
  private isBeyond(share: number): boolean {
    return this.end - this.next > share * WAITING_TEXTS || this.textsChars > share * WAITING_CHARS;
  }

  private get waits(): boolean {
    return this.unpacking === undefined && !this.isDraining && this.next < this.end;
  }

  /** True while texts wait that should be indexed whenever there is time. */
  get waitsForTime(): boolean {
    return this.waits && this.isBeyond(WAITING_SHARE);
  }

  /** Indexes what waits, until a time as performance.now tells it; nothing where much waits, and is done little by little. */
  catchUp(untilMs = Number.POSITIVE_INFINITY): void {
    if (this.waits) this.work(untilMs);
  }

  /** To be called when something was applied: what waits goes on doing so until nothing was for a while. */
  goOnWhenQuiet(): void {
    if (this.isBehind && !this.isDraining) this.goOnIn(QUIET_MS);
  }

  /** To be called when a replay has ended. */
  goOnLater(): void {
    if (this.next === this.end || this.isDraining) return;
    this.isDraining = true;
    this.goOnIn(START_AFTER_MS);
  }

  /** The index with every text in it. What is missing is done at once: see `complete`, where that may be much. */
  get index(): KeywordIndex {
    this.work(Number.POSITIVE_INFINITY);
    return this.keywords;
  }

  /**
   * Resolves when every text is in the index, but for those written meanwhile, without holding up the event loop.
   * @throws WalError where a text cannot be read
   */
  async complete(): Promise<void> {
    while (this.isBehind) {
      this.work(performance.now() + AWAITED_SLICE_MS);
      await new Promise(resolve => setImmediate(resolve));
    }
  }

  /** Ends the background work. */
  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
  }

  private get isBehind(): boolean {
    return !this.isClosed && (this.unpacking !== undefined || this.next < this.end);
  }

  private goOnIn(ms: number): void {
    clearTimeout(this.timer);
    if (!this.isClosed) this.timer = setTimeout(() => this.goOn(), ms).unref();
  }

  private goOn(): void {
    try {
      this.work(performance.now() + SLICE_MS);
    } catch {
      // A text cannot be read: whoever asks for the words meets the same, and is told.
      return;
    }
    if (this.isBehind) this.goOnIn(PAUSE_MS);
  }

  /** Does what is to be done, until a time as performance.now tells it. */
  private work(untilMs: number): void {
    if (this.unpacking !== undefined && !this.unpack(this.unpacking, untilMs)) return;
    while (this.next < this.end) {
      this.indexNext();
      if (performance.now() >= untilMs) return;
    }
    this.isDraining = false;
  }

  private indexNext(): void {
    const text = this.texts.get(this.next) ?? this.source!.textOf(this.next);
    this.keywords.add(this.next, text);
    if (this.texts.delete(this.next)) this.textsChars -= text.length;
    this.next++;
  }

  /** @returns false if there is more to be unpacked */
  private unpack(unpacking: KeywordUnpacking, untilMs: number): boolean {
    try {
      while (!unpacking.step()) if (performance.now() >= untilMs) return false;
      this.keywords = unpacking.index;
    } catch (error) {
      this.next = 0;
      this.refusals++;
      this.source!.onDamage(error as Error);
    }
    this.unpacking = undefined;
    return true;
  }
}
