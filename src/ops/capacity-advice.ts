/** What to do about how a store grows: pure. */
import type { Advice, CapacityAnswer, Forecast } from '../domain/capacity.js';
import type { Provider } from '../embedding/settings.js';
import { count } from './wording.js';

export interface AdviceContext {
  /** Of the last hour that there is a sample of. */
  readonly memoryPercent: number | undefined;
  /** No horizon is configured. */
  readonly keepsHistory: boolean;
  readonly provider: Provider;
}

/** Long enough to buy a disk. */
const SOON_DAYS = 90;
/** The guide's: from here on it advises to save memory. */
const HIGH_MEMORY_PERCENT = 70;
/** Dead versions below this are not worth a thought. */
const MANY_DEAD = 1_000;

export function adviceOn(
  { forecasts, items, dead_versions: dead, latency }: Omit<CapacityAnswer, 'advice'>,
  { memoryPercent = 0, keepsHistory, provider }: AdviceContext,
): Advice[] {
  const advice: Advice[] = [];
  const soon = (resource: Forecast['resource']) =>
    forecasts.find(one => one.resource === resource && (one.full_in_days ?? Infinity) < SOON_DAYS);
  const [disk, memory] = [soon('disk'), soon('memory')];
  if (disk !== undefined)
    advice.push({
      code: 'DISK_FULL_SOON',
      text: `The disk is full in ${count(Math.floor(disk.full_in_days!), 'day')} at this rate. Move the store to a larger one (mcp-vector-server backup, restore), or give up old history: mcp-vector-server horizon --keep "90 days" shows what would go.`,
    });
  if (memory !== undefined)
    advice.push({
      code: 'MEMORY_FULL_SOON',
      text: `Memory is full in ${count(Math.floor(memory.full_in_days!), 'day')} at this rate. A machine with more of it, or stores by project instead of one for all, help; deleted items take a bit a dimension, live ones all of it.`,
    });
  if (memoryPercent >= HIGH_MEMORY_PERCENT)
    advice.push({
      code: 'MEMORY_HIGH',
      text: `${Math.round(memoryPercent)} % of the memory is used by this server and its windows. Close windows that nobody uses, restart the server at a quiet time, and consider a larger machine.`,
    });
  if (memoryPercent >= HIGH_MEMORY_PERCENT && provider !== 'openai' && provider !== 'ollama')
    advice.push({
      code: 'EMBEDDER_MEMORY',
      text:
        provider === 'transformers'
          ? 'The model of transformers runs in this process. The built-in one takes some 110 MB, one of ollama or openai none here: mcp-vector-server reembed --to NAME changes it.'
          : 'The built-in model takes some 110 MB; one of ollama or openai takes none here: mcp-vector-server reembed --to NAME changes it.',
    });
  if (dead >= MANY_DEAD && dead > items && keepsHistory)
    advice.push({
      code: 'DEAD_VERSIONS',
      text: `${count(dead, 'dead version')} beside ${count(items, 'live item')}: if nobody asks for that past, mcp-vector-server horizon or VECTOR_KEEP_HISTORY="90 days" gives their space back; mcp-vector-server redact erases single items for good.`,
    });
  const { then_p95_ms: then, now_p95_ms: now } = latency ?? {};
  if (then !== undefined && now !== undefined && now > 50 && now > 2 * then)
    advice.push({
      code: 'LATENCY_GROWS',
      text: `95 of a hundred calls took up to ${Math.round(now)} ms on the last day, and ${Math.round(then)} ms at first: see mcp-vector-server health for memory and rows in no graph.`,
    });
  if (forecasts.every(({ basis }) => basis === 'none'))
    advice.push({
      code: 'HISTORY_SHORT',
      text: 'There is too little history for a forecast: ask again once a week has passed.',
    });
  return advice.length > 0
    ? advice
    : [{ code: 'NOTHING', text: 'Nothing needs to be done within three months.' }];
}
