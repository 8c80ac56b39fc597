/**
 * Facts of the world that this program stands on, with their dates, as they were known on `asOf`: nobody is asked for them over the network. Whoever
 * releases looks them up anew (CONTRIBUTING.md).
 */
export const FACTS = {
  asOf: '2026-11-28',
  node: {
    /** Compared on 2026-11-28: schedule.json of nodejs/Release at e4bf922 (2026-07-02), and the releases of the npm package `node`. */
    source: 'https://github.com/nodejs/Release/blob/main/schedule.json',
    /** The last day on which a line gets security fixes. Lines that are not here are not known. */
    endOfLife: {
      18: '2025-04-30',
      19: '2023-06-01',
      20: '2026-04-30',
      21: '2024-06-01',
      22: '2027-04-30',
      23: '2025-06-01',
      24: '2028-04-30',
      25: '2026-06-01',
      26: '2029-04-30',
      27: '2030-04-30',
    } as Readonly<Record<number, string>>,
    /** Long-term support lines, newest first. */
    longTerm: [26, 24, 22],
  },
  mcp: {
    /** Compared on 2026-11-28: the dated directories of `schema/` there. */
    source: 'https://github.com/modelcontextprotocol/modelcontextprotocol/tree/main/schema',
    /** All that are final, newest first. */
    revisions: ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'],
    /** Those that this server speaks: what its SDK has; a test compares them. */
    spoken: ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05', '2024-10-07'],
  },
} as const;
