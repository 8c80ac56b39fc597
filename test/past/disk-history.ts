import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { StoreEngine } from '#src/engine/engine.js';
import { rollback } from '#src/engine/rollback.js';
import { MemoryLog } from '#wal/memory-log.js';
import { openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import { namedEmbedders, openTestEngine, testContext } from '../helpers/engine.js';
import { EMBEDDERS, History, OPENING, type Reopening, refusable } from './history.js';

/** A history on a disk, with checkpoints, kills and cuts. Each kill leaves a copy of the files, made while they are in use. */
export class DiskHistory extends History {
  private images = 0;

  /** @param dir of its own, removed at the end */
  constructor(
    private readonly dir: string,
    compactsEarly: boolean,
  ) {
    super(compactsEarly);
  }

  private get path(): string {
    return join(this.dir, `store-${this.images}`);
  }

  protected create(): Promise<StoreEngine> {
    return this.open();
  }

  private async open(): Promise<StoreEngine> {
    const engine = await openTestEngine(this.path, {
      ...OPENING,
      clock: this.clock,
      embedderSource: namedEmbedders(EMBEDDERS),
      ...(this.compactsEarly && { keepDeadRows: 0 }),
    });
    // Collections may have the space of either, and a new process knows those alone that it was asked for.
    for (const to of Object.keys(EMBEDDERS))
      await refusable(engine.reembed({ to, dry_run: true }, testContext), ['REEMBED_OTHER_SPACE']);
    return engine;
  }

  protected async reopen(how: Reopening): Promise<StoreEngine> {
    if (how === 'closed') await this.engine.close();
    else await this.killed();
    if (how === 'rebuilt') rmSync(join(this.path, PATHS.checkpoints), { recursive: true, force: true });
    return this.open();
  }

  /** Goes on with the files as they stand. */
  private async killed(): Promise<void> {
    this.image();
    await this.engine.close();
    this.images += 1;
  }

  private image(): void {
    cpSync(this.path, join(this.dir, `store-${this.images + 1}`), { recursive: true });
  }

  protected async truncate(share: number, killedAt: number | undefined): Promise<StoreEngine> {
    const to = Math.max(1, await this.seqAt(share));
    if (await this.isBeyondHorizon(to)) return this.engine;
    await this.engine.close();
    let steps = 0;
    let isKilled = false;
    await rollback({
      storeDir: this.path,
      to: String(to),
      truncate: { reason: 'a test' },
      clock: this.clock,
      onProgress: () => {
        if (steps++ !== killedAt) return;
        this.image();
        isKilled = true;
      },
    });
    if (isKilled) this.images += 1;
    return this.open();
  }

  protected async seqAt(share: number): Promise<number> {
    const { head } = await this.engine.status({}, testContext);
    return Math.ceil(share * head.seq);
  }

  protected async records(): Promise<MemoryLog> {
    this.image();
    const log = await openLog({ storeDir: join(this.dir, `store-${this.images + 1}`), clock: this.clock });
    const stored: Uint8Array[] = [];
    for await (const piece of log.raw(1, log.head.seq)) stored.push(...piece.map(([, value]) => value));
    await log.close();
    return MemoryLog.of(stored, { clock: this.clock });
  }

  override async end(): Promise<void> {
    await this.engine?.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
