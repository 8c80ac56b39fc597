import { MemoryLog } from '#wal/memory-log.js';

/** Counts the records that are read one by one: what an answer costs, whatever the machine. */
export class CountingLog extends MemoryLog {
  reads = 0;

  override get(seq: number) {
    this.reads += 1;
    return super.get(seq);
  }
}
