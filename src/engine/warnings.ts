import type { Logger } from '../log.js';

const MAX_WARNINGS = 20;

/** What was told of at the opening, like checkpoints that were discarded, and what the background tells of later: in the log, and the newest in the status. */
export class Warnings {
  private readonly told: string[] = [];

  constructor(private readonly logger: Logger) {}

  /** Oldest first. */
  get newest(): readonly string[] {
    return this.told;
  }

  add(message: string): void {
    this.logger.warn(message);
    this.told.push(message);
    if (this.told.length > MAX_WARNINGS) this.told.shift();
  }
}
