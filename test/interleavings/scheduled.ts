/** A log in memory and an embedder that come to their end when fast-check's scheduler says so, in the order that it says. */
import type fc from 'fast-check';
import type { Embedded } from '#src/domain/model.js';
import { MemoryLog, type MemoryLogOptions } from '#wal/memory-log.js';
import type { Pending } from '#wal/queue.js';
import { decodeRecord } from '#wal/record.js';
import { WordEmbedder } from '../helpers/engine.js';

export class ScheduledLog extends MemoryLog {
  constructor(
    private readonly scheduler: fc.Scheduler,
    options: MemoryLogOptions,
  ) {
    super(options);
  }

  /** A log that goes on behind these records, which end a transaction. */
  static after(
    stored: readonly Uint8Array[],
    scheduler: fc.Scheduler,
    options: MemoryLogOptions,
  ): ScheduledLog {
    const log = new ScheduledLog(scheduler, options);
    log.stored.push(...stored);
    if (stored.length > 0) log.startAfter(decodeRecord(stored[stored.length - 1]!, stored.length));
    return log;
  }

  /** What is durable, as a crash leaves it: also of a log that is closed. */
  get durable(): readonly Uint8Array[] {
    return this.stored.slice(0, this.head.seq);
  }

  protected override async writeBatch(batch: readonly Pending[]): Promise<void> {
    await this.scheduler.schedule(Promise.resolve(), `write ${batch.length} transactions`);
    await super.writeBatch(batch);
  }
}

export class ScheduledEmbedder extends WordEmbedder {
  constructor(private readonly scheduler: fc.Scheduler) {
    super();
  }

  override async embedTexts(texts: readonly string[], signal?: AbortSignal): Promise<Embedded[]> {
    await this.scheduler.schedule(Promise.resolve(), `embed ${texts.length} texts`);
    return super.embedTexts(texts, signal);
  }

  override async embedQuery(text: string): Promise<Float32Array> {
    await this.scheduler.schedule(Promise.resolve(), `embed a query`);
    return super.embedQuery(text);
  }
}
