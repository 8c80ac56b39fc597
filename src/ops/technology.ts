/** What of the technology below this program is at its end, or has something newer: told from facts with dates, offline. */
import { FACTS } from './technology-facts.js';

export interface TechnologyNotice {
  readonly about: 'node line' | 'mcp' | 'facts';
  readonly level: 'ok' | 'warn';
  readonly message: string;
  /** With warn. */
  readonly wayOut?: string;
}

type Facts = {
  readonly asOf: string;
  readonly node: {
    readonly endOfLife: Readonly<Record<number, string>>;
    readonly longTerm: readonly number[];
  };
  readonly mcp: { readonly revisions: readonly string[]; readonly spoken: readonly string[] };
};

const DAY_MS = 86_400_000;
/** How long before its end a line is worth a word. */
const SOON_DAYS = 90;
/** After so long most facts have newer ones. */
const STALE_DAYS = 365;

/**
 * @param nodeVersion such as process.versions.node
 * @param nowMs wall clock, ms
 */
export function technologyNotices(
  nodeVersion: string,
  nowMs: number,
  facts: Facts = FACTS,
): TechnologyNotice[] {
  return [nodeNotice(nodeVersion, nowMs, facts), mcpNotice(facts), ...factsNotice(nowMs, facts)];
}

function nodeNotice(version: string, nowMs: number, { node, asOf }: Facts): TechnologyNotice {
  const line = Number(version.split('.')[0]);
  const end = node.endOfLife[line];
  const about = 'node line';
  const better = node.longTerm.filter(each => each > line && !isOver(node.endOfLife[each]!, nowMs));
  const wayOut = `Install Node.js ${better.length > 0 ? better.join(' or ') : 'of a newer long-term line'}; nothing else has to change.`;
  if (end === undefined)
    return { about, level: 'ok', message: `Node ${line} is not among the lines known on ${asOf}` };
  if (isOver(end, nowMs))
    return {
      about,
      level: 'warn',
      message: `Node ${line} has had no security fixes since ${end}`,
      wayOut,
    };
  if (isOver(end, nowMs + SOON_DAYS * DAY_MS))
    return { about, level: 'warn', message: `Node ${line} gets no security fixes after ${end}`, wayOut };
  return { about, level: 'ok', message: `Node ${line} gets security fixes until ${end}` };
}

/** Over once the day has passed everywhere: UTC will do. */
const isOver = (day: string, nowMs: number): boolean => nowMs >= Date.parse(`${day}T00:00:00Z`) + DAY_MS;

function mcpNotice({ mcp }: Facts): TechnologyNotice {
  const missing = mcp.revisions.filter(revision => !mcp.spoken.includes(revision));
  if (missing.length === 0)
    return {
      about: 'mcp',
      level: 'ok',
      message: `speaks the newest revision of MCP, ${mcp.revisions[0]}, and the earlier ones`,
    };
  return {
    about: 'mcp',
    level: 'warn',
    message: `does not speak MCP ${missing.join(', ')} yet: clients fall back to ${mcp.spoken[0]}`,
    wayOut: 'Look for a newer version of this package: doctor --updates.',
  };
}

function factsNotice(nowMs: number, { asOf }: Facts): TechnologyNotice[] {
  const days = Math.floor((nowMs - Date.parse(`${asOf}T00:00:00Z`)) / DAY_MS);
  if (days <= STALE_DAYS) return [];
  return [
    {
      about: 'facts',
      level: 'warn',
      message: `what is said of Node and MCP was known on ${asOf}, ${days} days ago: there is newer by now`,
      wayOut: 'Look for a newer version of this package: doctor --updates.',
    },
  ];
}
