import type { StoreEngine } from '#src/engine/engine.js';
import { MemoryLog } from '#wal/memory-log.js';
import { endOf, History } from './history.js';

/** A history in memory: however it is reopened, everything is rebuilt from the log. */
export class MemoryHistory extends History {
  private log = new MemoryLog({ clock: this.clock });

  protected create(): Promise<StoreEngine> {
    return this.openInMemory(this.log);
  }

  protected reopen(): Promise<StoreEngine> {
    this.log = this.log.prefix(this.log.head.seq, { clock: this.clock });
    return this.openInMemory(this.log);
  }

  protected async truncate(share: number): Promise<StoreEngine> {
    const seq = await this.seqAt(share);
    if (seq > 0 && (await this.isBeyondHorizon(seq))) return this.engine;
    this.log = this.log.prefix(seq, { clock: this.clock });
    return this.openInMemory(this.log);
  }

  protected async seqAt(share: number): Promise<number> {
    return endOf(this.log, share);
  }

  protected async records(): Promise<MemoryLog> {
    return this.log;
  }
}
