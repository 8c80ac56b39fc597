/** Which alerts are due: pure. What was sent is told to it afterwards, so that what failed is due again. */
import { CHECKS, type CheckName, type HealthCheck, LEVELS, type Level } from '../domain/health.js';

export const CHANNELS = ['command', 'webhook'] as const;
export type Channel = (typeof CHANNELS)[number];

/** What a check's level is, once it has held. */
export interface Settled {
  readonly level: Level;
  /** Another level that was seen last, and how often in a row. */
  readonly other?: { readonly level: Level; readonly times: number };
}

/** What the people behind a channel were told of a check. */
export interface Told {
  readonly level: Level;
  /** When each level was last sent, in ms. */
  readonly sent: Partial<Record<Level, number>>;
}

export interface AlertState {
  readonly settled: Partial<Record<CheckName, Settled>>;
  readonly told: Readonly<Record<Channel, Partial<Record<CheckName, Told>>>>;
}

export const NO_ALERTS: AlertState = { settled: {}, told: { command: {}, webhook: {} } };

/** How many samples in a row a level must hold. */
const HOLDS = 2;

export type Change = 'raised' | 'lowered' | 'recovered' | 'reminder';

export interface DueAlert {
  readonly check: CheckName;
  readonly change: Change;
  readonly level: Level;
  readonly before: Level;
}

/** Takes in the levels of a sample: each counts once it has held for two. */
export function settle(
  state: AlertState,
  checks: readonly Pick<HealthCheck, 'name' | 'level'>[],
): AlertState {
  const settled: Partial<Record<CheckName, Settled>> = { ...state.settled };
  for (const { name, level } of checks) {
    const now: Settled = settled[name] ?? { level: 'ok' };
    if (level === now.level) settled[name] = { level };
    else {
      const times = now.other?.level === level ? now.other.times + 1 : 1;
      settled[name] = times >= HOLDS ? { level } : { level: now.level, other: { level, times } };
    }
  }
  return { ...state, settled };
}

/**
 * What a channel is to be told. A warning and a critical state are told when they begin, unless the very same was sent within
 * `repeatMs`, and again each time that has passed; a recovery where anything was told before.
 */
export function dueAlerts(
  { settled, told }: AlertState,
  channel: Channel,
  nowMs: number,
  repeatMs: number,
): DueAlert[] {
  const due: DueAlert[] = [];
  for (const check of CHECKS) {
    const level = settled[check]?.level ?? 'ok';
    const { level: before, sent } = told[channel][check] ?? { level: 'ok' as const, sent: {} };
    if (level === 'ok') {
      if (before !== 'ok') due.push({ check, change: 'recovered', level, before });
      continue;
    }
    const sentMs = sent[level];
    // A clock that was set back must not silence it for longer.
    if (sentMs !== undefined && nowMs - sentMs < repeatMs && sentMs <= nowMs) continue;
    due.push({ check, change: changeOf(before, level), level, before });
  }
  return due;
}

function changeOf(before: Level, level: Level): Change {
  if (before === level) return 'reminder';
  return LEVELS.indexOf(level) > LEVELS.indexOf(before) ? 'raised' : 'lowered';
}

/** The state once these were delivered. */
export function afterSending(
  state: AlertState,
  channel: Channel,
  alerts: readonly DueAlert[],
  nowMs: number,
): AlertState {
  const told = { ...state.told[channel] };
  for (const { check, level } of alerts)
    told[check] = {
      level,
      sent: level === 'ok' ? (told[check]?.sent ?? {}) : { ...told[check]?.sent, [level]: nowMs },
    };
  return { ...state, told: { ...state.told, [channel]: told } };
}

/** A state that was read from a file. @throws Error where it is none */
export function assertAlertState(value: unknown): asserts value is AlertState {
  const isObject = (found: unknown): found is Record<string, unknown> =>
    typeof found === 'object' && found !== null && !Array.isArray(found);
  const isLevel = (found: unknown) => LEVELS.includes(found as Level);
  const isSettled = (found: unknown) =>
    isObject(found) &&
    isLevel(found.level) &&
    (found.other === undefined ||
      (isObject(found.other) && isLevel(found.other.level) && Number.isSafeInteger(found.other.times)));
  const isTold = (found: unknown) =>
    isObject(found) &&
    isLevel(found.level) &&
    isObject(found.sent) &&
    Object.values(found.sent).every(Number.isFinite);
  const isFit =
    isObject(value) &&
    isObject(value.settled) &&
    Object.values(value.settled).every(isSettled) &&
    isObject(value.told) &&
    CHANNELS.every(channel => {
      const told = (value.told as Record<string, unknown>)[channel];
      return isObject(told) && Object.values(told).every(isTold);
    });
  if (!isFit) throw new Error('it holds something else than what alerts were sent');
}
