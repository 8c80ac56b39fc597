/** What is wrong with a store, by kind. */
export interface Findings {
  /** Acknowledged, and not there. */
  readonly lost: string[];
  /** There, but as nobody wrote it. */
  readonly altered: string[];
  /** A call that was on its way and is there in parts. */
  readonly halfDone: string[];
  readonly opensFailed: string[];
  /** What verify found on a store that a kill left behind, or on backups and on what was restored of them. */
  readonly unsound: string[];
  /** Wrong search results, error answers that nothing explains, and programs that failed by themselves. */
  readonly unexpected: string[];
}

export const noFindings = (): Findings => ({
  lost: [],
  altered: [],
  halfDone: [],
  opensFailed: [],
  unsound: [],
  unexpected: [],
});

/** Each with its kind. */
export function* entriesOf(findings: Findings): Generator<[kind: keyof Findings, text: string]> {
  for (const kind of Object.keys(noFindings()) as (keyof Findings)[])
    for (const text of findings[kind]) yield [kind, text];
}
