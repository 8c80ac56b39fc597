export interface FactVerdict {
  readonly source: string;
  readonly state: 'same' | 'differs' | 'unknown';
  readonly message: string;
}
export function compareFacts(
  facts: {
    readonly node: { readonly endOfLife: Readonly<Record<number, string>> };
    readonly mcp: { readonly revisions: readonly string[] };
  },
  found: {
    readonly versions?: readonly string[];
    readonly schedule?: Readonly<Record<string, { readonly start: string; readonly end: string }>>;
    readonly revisions?: readonly string[];
  },
  nowMs: number,
): FactVerdict[];
