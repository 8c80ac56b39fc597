/** The steps that lead from an earlier format of the store to the present one. A new one is a file of its own, and a line here. */

export interface Migration {
  /** The format version that it reads; it writes the next one. */
  readonly from: number;
  /** What it changes, for people. */
  readonly summary: string;
  /**
   * Makes, at `target`, a whole and closed store of format `from + 1` out of the one at `source`, which it must not change. It may be killed at any
   * moment and called again with an empty target.
   */
  make(source: string, target: string, context: MigrationContext): Promise<void>;
}

export interface MigrationContext {
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly onProgress?: ((records: number) => void) | undefined;
}

/** In order. Empty: format 1 is the first there has been. */
export const MIGRATIONS: readonly Migration[] = [];

/** The steps from one format to another; undefined where one of them is missing. */
export function stepsBetween(
  from: number,
  to: number,
  migrations: readonly Migration[] = MIGRATIONS,
): readonly Migration[] | undefined {
  const steps: Migration[] = [];
  for (let at = from; at < to; at++) {
    const step = migrations.find(migration => migration.from === at);
    if (step === undefined) return undefined;
    steps.push(step);
  }
  return steps;
}
