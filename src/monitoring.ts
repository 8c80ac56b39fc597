/** What of the configuration says how a server watches over itself. */
import { isAbsolute } from 'node:path';
import { CodedError } from './domain/errors.js';
import {
  AVERAGE,
  DEFAULT_AVERAGE_MINUTES,
  DEFAULT_LIMITS,
  DEFAULT_REPEAT_HOURS,
  type HealthLimits,
  type HealthSettings,
  LIMIT_NAMES,
  parseHealthSettings,
  REPEAT,
} from './domain/health-limits.js';
import { ApiKey } from './embedding/settings.js';
import type { VariableName } from './variables.js';

export interface Monitoring {
  readonly limits: HealthLimits;
  /** Over how long the mean of the processors is that is judged. */
  readonly averageMs: number;
  /** How often the owner of a store takes a sample; 0: never, and no alert is sent. */
  readonly sampleSeconds: number;
  readonly alerts: AlertSettings;
}

export interface AlertSettings {
  /** A program, absolute, and its arguments; the alert comes on its stdin. */
  readonly command: readonly string[] | undefined;
  /** Where alerts are posted; its path is often a secret. */
  readonly webhook: ApiKey | undefined;
  /** After how long what still stands is sent again. */
  readonly repeatMs: number;
}

export const DEFAULT_SAMPLE_SECONDS = 60;

/** @param value of a variable, undefined where it is not set @throws CodedError CONFIG_INVALID */
export function readMonitoring(value: (name: VariableName) => string | undefined): Monitoring {
  const { limits, repeatHours, averageMinutes } = readSettings(value('VECTOR_HEALTH_LIMITS'));
  return {
    limits,
    averageMs: averageMinutes * 60_000,
    sampleSeconds: readSampleSeconds(value('VECTOR_SAMPLE_SECONDS')),
    alerts: {
      command: readCommand(value('VECTOR_ALERT_COMMAND')),
      webhook: readWebhook(value('VECTOR_ALERT_WEBHOOK')),
      repeatMs: repeatHours * 3_600_000,
    },
  };
}

function readSettings(value: string | undefined): HealthSettings {
  if (value === undefined)
    return {
      limits: DEFAULT_LIMITS,
      repeatHours: DEFAULT_REPEAT_HOURS,
      averageMinutes: DEFAULT_AVERAGE_MINUTES,
    };
  try {
    return parseHealthSettings(value);
  } catch (error) {
    throw invalid(
      'VECTOR_HEALTH_LIMITS',
      (error as Error).message,
      `Give name=warn or name=warn/critical or name=off, with commas, such as "memory=80,disk=85/95,backup=off". The names are: ${LIMIT_NAMES.join(', ')}; ${REPEAT}=hours and ${AVERAGE}=minutes.`,
    );
  }
}

function readSampleSeconds(value: string | undefined): number {
  if (value === undefined) return DEFAULT_SAMPLE_SECONDS;
  if (value.toLowerCase() === 'off') return 0;
  const seconds = Number(value);
  if (/^\d+$/.test(value) && seconds >= 1 && seconds <= 3600) return seconds;
  throw invalid(
    'VECTOR_SAMPLE_SECONDS',
    `${JSON.stringify(value)} is no whole number from 1 to 3600`,
    'Give seconds, such as 60, or off.',
  );
}

const MAX_ARGUMENTS = 64;

/** No shell reads it, so that nothing in it can be taken for anything but what it is. */
function readCommand(value: string | undefined): readonly string[] | undefined {
  if (value === undefined) return undefined;
  const parts = value.startsWith('[') ? parseArray(value) : [value];
  if (parts !== undefined && isAbsolute(parts[0] ?? '') && !parts.some(part => part.includes('\0')))
    return parts;
  throw invalid(
    'VECTOR_ALERT_COMMAND',
    'is neither the absolute path of a program nor a JSON array of one and its arguments',
    `Write it as /usr/local/bin/notify or ["/usr/local/bin/notify","--channel","memory"], with at most ${MAX_ARGUMENTS} arguments. No shell reads it.`,
  );
}

function parseArray(text: string): string[] | undefined {
  try {
    const found: unknown = JSON.parse(text);
    const isFit = Array.isArray(found) && found.length <= 1 + MAX_ARGUMENTS;
    return isFit && found.every(part => typeof part === 'string') ? (found as string[]) : undefined;
  } catch {
    return undefined;
  }
}

function readWebhook(value: string | undefined): ApiKey | undefined {
  if (value === undefined) return undefined;
  const name = 'VECTOR_ALERT_WEBHOOK';
  const wayOut = 'Give a URL that begins with https://, or with http:// for an address of this machine.';
  // The URL is not repeated: its path is often all that protects it.
  if (!URL.canParse(value)) throw invalid(name, 'is no URL', wayOut);
  const url = new URL(value);
  if (url.username !== '' || url.password !== '')
    throw invalid(name, 'holds a user name or password', 'Put what identifies you into the path or query.');
  const isLoopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback)) return new ApiKey(url.href);
  throw invalid(
    name,
    url.protocol === 'http:' ? 'would send alerts in the open to another machine' : 'is no https:// URL',
    wayOut,
  );
}

const invalid = (name: VariableName, what: string, wayOut: string) =>
  new CodedError('CONFIG_INVALID', `${name}: ${what}`, wayOut, { details: { variable: name } });
