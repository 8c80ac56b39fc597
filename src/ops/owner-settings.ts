/**
 * Whose settings count. Schedules, backups, health and alerts follow the variables of the process that has the store: `settings.json` in ops/ remembers which they
 * were, as digests, so that another process that gets the store says once that from now on its own count. A note, never truth.
 */
import { createHash } from 'node:crypto';
import type { Config } from '../config.js';
import { readOpsFile, writeOpsFile } from '../engine/ops-file.js';
import type { VariableName } from '../variables.js';
import type { Operation, OperationsContext } from './operations.js';

const NAME = 'settings.json';
const FORMAT = 1;

/** Digests of settings, by the variable that sets them. */
export type OwnerSettings = Readonly<Record<string, string>>;

type Settings = Pick<Config, 'schedules' | 'verify' | 'keepHistory' | 'monitoring'>;

/** What was meant, not how it was written: defaults that are spelt out are no other settings. Secrets are among them, hence digests. */
export function ownerSettings({ schedules, verify, keepHistory, monitoring }: Settings): OwnerSettings {
  const { backup, times } = schedules;
  const { alerts, limits, averageMs, sampleSeconds } = monitoring;
  const settings = {
    VECTOR_SCHEDULE: times,
    VECTOR_VERIFY_RATE: verify.bytesPerSecond,
    VECTOR_BACKUP_DIR: backup.dir,
    VECTOR_BACKUP_KEEP: backup.keep,
    VECTOR_BACKUP_RATE: backup.bytesPerSecond,
    VECTOR_KEEP_HISTORY: keepHistory,
    VECTOR_HEALTH_LIMITS: { limits, averageMs, repeatMs: alerts.repeatMs },
    VECTOR_SAMPLE_SECONDS: sampleSeconds,
    VECTOR_ALERT_COMMAND: alerts.command,
    VECTOR_ALERT_WEBHOOK: alerts.webhook?.reveal(),
  } satisfies Partial<Record<VariableName, unknown>>;
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, digestOf(value)]));
}

const digestOf = (value: unknown): string =>
  createHash('sha256')
    .update(JSON.stringify(value) ?? '')
    .digest('hex')
    .slice(0, 16);

/** Variables by which two differ. */
export const differing = (one: OwnerSettings, other: OwnerSettings): string[] =>
  Object.keys(one).filter(name => other[name] !== undefined && other[name] !== one[name]);

/** Says where this process' settings are others than those of the last one that had the store, and remembers its own. Does not reject. */
export async function noteSettings({ config, logger }: OperationsContext): Promise<Operation> {
  const own = ownerSettings(config);
  const writing = remember(config.storePath, own, names => {
    logger.warn(
      { variables: names },
      `this process has the store now, and its settings count: ${names.join(', ')} differ from those of the process before it`,
    );
  }).catch((error: Error) => logger.warn(`whose settings count could not be noted: ${error.message}`));
  return { close: () => writing };
}

async function remember(
  storeDir: string,
  own: OwnerSettings,
  tell: (names: readonly string[]) => void,
): Promise<void> {
  const before = noted(storeDir);
  const names = before === undefined ? [] : differing(own, before);
  if (names.length > 0) tell(names);
  if (before === undefined || names.length > 0)
    await writeOpsFile(storeDir, NAME, `${JSON.stringify({ format: FORMAT, settings: own })}\n`);
}

/** Undefined where none is noted that can be read: then nothing is told, and it is written anew. */
function noted(storeDir: string): OwnerSettings | undefined {
  try {
    const found = JSON.parse(readOpsFile(storeDir, NAME) ?? 'null') as {
      format?: unknown;
      settings?: unknown;
    };
    const { format, settings } = found ?? {};
    return format === FORMAT && typeof settings === 'object' && settings !== null
      ? (settings as OwnerSettings)
      : undefined;
  } catch {
    return undefined;
  }
}
