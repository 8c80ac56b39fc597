/** From readings and limits to levels: pure. Messages are fixed words and figures; what may hold a path or a text is in `detail`. */
import type { StatusAnswer } from '../domain/face.js';
import type { CheckName, HealthAnswer, HealthCheck, Level } from '../domain/health.js';
import { CHECKS, worst } from '../domain/health.js';
import type { HealthLimits, Limit } from '../domain/health-limits.js';
import { VERSION } from '../version.js';
import type { Readings } from './readings.js';
import { amount, count, span } from './wording.js';

const DAY_MS = 86_400_000;
/** A checkpoint is not due before 10 000 events; twice as many are no sign of anything. */
const CHECKPOINT_FLOOR = 20_000;

type Found = Omit<HealthCheck, 'name'>;

export function judge(readings: Readings, limits: HealthLimits): HealthAnswer {
  const found: Record<CheckName, Found> = {
    process: processCheck(readings),
    store: storeCheck(readings),
    head: withStatus(readings, status => headCheck(readings, status)),
    lag: withStatus(readings, status => lagCheck(status, limits.lag)),
    checkpoint: withStatus(readings, status => checkpointCheck(status, limits.checkpoint)),
    verify: withStatus(readings, status => verifyCheck(readings, status, limits.verify)),
    backup: withStatus(readings, status => backupCheck(readings, status, limits.backup)),
    embedder: withStatus(readings, embedderCheck),
    memory: memoryCheck(readings, limits.memory),
    disk: diskCheck(readings, limits.disk),
    cpu: cpuCheck(readings, limits.cpu),
    size: sizeCheck(readings, limits.size),
    files: filesCheck(readings, limits.files),
    logfile: logFileCheck(readings, limits.logfile),
    response: withStatus(readings, () => responseCheck(readings, limits.response)),
    slow: slowCheck(readings, limits.slow),
  };
  const checks = CHECKS.map(name => ({ name, ...found[name] }));
  const { timeMs, store, isServed } = readings;
  return {
    time: new Date(timeMs).toISOString(),
    version: VERSION,
    level: worst(checks.map(({ level }) => level)),
    store,
    is_served: isServed,
    checks,
  };
}

const ok = (message: string, more: Partial<Found> = {}): Found => ({ level: 'ok', message, ...more });

export function levelOf(value: number, { warn, critical }: Limit): Level {
  if (critical !== undefined && value >= critical) return 'critical';
  return warn !== undefined && value >= warn ? 'warn' : 'ok';
}

/** A figure against its limits. @param value rounded as it is told, so that nobody wonders why 80 % is not 80 % */
function measured(value: number, limit: Limit, message: string, advice: string): Found {
  const level = levelOf(value, limit);
  return { level, value, message, ...(level !== 'ok' && { advice }) };
}

/** Of a store that is not open nothing is known but that, which its own check says. */
const withStatus = ({ status }: Readings, check: (status: StatusAnswer) => Found): Found =>
  status === undefined ? ok('not known: the store does not tell its state') : check(status);

function processCheck({ isServed, pid, uptimeMs = 0, windows, refusal }: Readings): Found {
  if (isServed) {
    const others = windows.length === 0 ? '' : `, with ${count(windows.length, 'other window')}`;
    return ok(`process ${pid} serves, for ${span(uptimeMs)}${others}`);
  }
  if (refusal?.code === 'OWNER_UNRESPONSIVE')
    return {
      level: 'critical',
      message: `process ${pid ?? '(unknown)'} has the store, and does not answer`,
      advice: refusal.wayOut,
    };
  if (refusal !== undefined && pid !== undefined)
    return {
      level: 'warn',
      message: `process ${pid} has the store, and does not serve others`,
      advice: 'Wait until it is done. If it is a server that does not answer, restart it.',
    };
  return {
    level: 'warn',
    message: 'no server runs',
    advice:
      'Start one, if there should be one: a client with this server in its configuration, or mcp-vector-server serve.',
  };
}

/** Codes that say that somebody has the store, not that anything is wrong with it. */
const BUSY: ReadonlySet<string> = new Set(['STORE_IN_USE', 'OPERATIONS_OFF', 'OWNER_BUSY']);

function storeCheck({ status, refusal }: Readings): Found {
  if (status === undefined) {
    const { code = 'INTERNAL', message = '', wayOut = '' } = refusal ?? {};
    const isBusy = BUSY.has(code);
    return {
      level: isBusy ? 'warn' : 'critical',
      message: isBusy ? `locked by another process (${code})` : `not open: ${code}`,
      advice: isBusy ? 'Run this again once that process has ended.' : wayOut,
      detail: message,
    };
  }
  const { store, verification } = status;
  if (store.state !== 'ok')
    return {
      level: 'critical',
      message: 'poisoned: a write failed, and no more are taken; reads go on',
      advice: 'Make room or mend the disk: writes resume by themselves.',
      ...(store.reason !== undefined && { detail: store.reason }),
    };
  const { warnings } = status.checkpoint;
  const damaged = verification.findings.length;
  return ok(`open, takes reads and writes${damaged > 0 ? '; its verification found damage' : ''}`, {
    ...(warnings.length > 0 && { detail: `since it was opened: ${warnings.join('; ')}` }),
  });
}

function headCheck({ timeMs }: Readings, { head }: StatusAnswer): Found {
  const aheadMs = Date.parse(head.time) - timeMs;
  const message = `event ${head.seq}, ${head.time}`;
  if (aheadMs < DAY_MS) return ok(message, { value: head.seq });
  return {
    level: 'warn',
    value: head.seq,
    message: `${message}: ${span(aheadMs)} in the future`,
    advice: 'Compare the machine’s clock: it is behind, or was ahead when that event was written.',
  };
}

function lagCheck({ head, checkpoint, collections }: StatusAnswer, limit: Limit): Found {
  const events = Math.max(0, head.seq - checkpoint.seq - checkpoint.age_events);
  const rows = collections.reduce((sum, { index }) => sum + (index.kind === 'hnsw' ? index.pending : 0), 0);
  return measured(
    rows,
    limit,
    `${count(events, 'event')} not applied yet, ${count(rows, 'row')} in no graph yet`,
    'Wait until writing pauses: graphs catch up then. If it stays, look for NATIVE_MODULE_MISSING in the log, or run mcp-vector-server doctor.',
  );
}

function checkpointCheck({ head, checkpoint }: StatusAnswer, limit: Limit): Found {
  const { age_events: age, seq } = checkpoint;
  const percent = head.seq === 0 ? 0 : Math.round((100 * age) / head.seq);
  const message =
    seq === 0
      ? `none yet, of ${count(head.seq, 'event')}`
      : `of event ${seq}, ${count(age, 'event')} behind (${percent} %)`;
  if (age < CHECKPOINT_FLOOR) return ok(message, { value: percent });
  return measured(
    percent,
    limit,
    message,
    'The next start will replay these. Look for “checkpoint not saved” in mcp-vector-server status: mostly there is no room.',
  );
}

function verifyCheck({ timeMs, firstMs }: Readings, { verification }: StatusAnswer, limit: Limit): Found {
  const { findings, completed, verified, is_running: isRunning } = verification;
  const whole = completed === undefined ? undefined : Date.parse(completed.time);
  const age = ageOf(timeMs, whole, firstMs);
  const days = Math.floor(age / DAY_MS);
  const reached = verified === undefined || whole === undefined ? '' : ` to event ${verified.seq}`;
  const when = whole === undefined ? 'never wholly' : `${span(timeMs - whole)} ago${reached}`;
  const message = `${when}${isRunning ? ', and under way now' : ''}`;
  if (findings.length > 0)
    return {
      level: 'critical',
      value: days,
      message: `${count(findings.length, 'finding')} (${findings[0]!.code})`,
      advice: 'Run mcp-vector-server verify: it says what each means and what to do.',
      detail: findings.map(({ message }) => message).join('; '),
    };
  return measured(
    days,
    limit,
    message,
    'Run mcp-vector-server verify, or set VECTOR_VERIFY_SCHEDULE to a time at which the server does.',
  );
}

function backupCheck({ timeMs, firstMs, backup }: Readings, { head }: StatusAnswer, limit: Limit): Found {
  const days = Math.floor(ageOf(timeMs, backup?.timeMs, firstMs) / DAY_MS);
  const advice =
    'Run mcp-vector-server backup --to DIR. Where this store is backed up by other means: VECTOR_HEALTH_LIMITS=backup=off.';
  if (backup === undefined)
    return measured(days, limit, 'none is known: no backup of this store was made by this program', advice);
  const missing = Math.max(0, head.seq - backup.seq);
  return {
    ...measured(
      days,
      limit,
      `${span(timeMs - backup.timeMs)} ago, to event ${backup.seq}; ${count(missing, 'event')} since`,
      advice,
    ),
    detail: `in ${backup.to}`,
  };
}

/** Since something was done; where it never was, since there has been anything to do it to. */
const ageOf = (nowMs: number, doneMs: number | undefined, firstMs: number | undefined): number =>
  Math.max(0, nowMs - (doneMs ?? firstMs ?? nowMs));

function embedderCheck({ embedder }: StatusAnswer): Found {
  const { space, state } = embedder;
  const isFailing = /^(failing|failed|died|closed)/.test(state) || space.startsWith('unknown');
  if (!isFailing) return ok(/^[\w ,()]{1,60}$/.test(state) ? state : 'in use');
  const [code] = /(?:EMBEDDER|MODEL|TRANSFORMERS|NATIVE)_[A-Z_]+/.exec(`${state} ${space}`) ?? [];
  return {
    level: 'warn',
    message: `failing${code === undefined ? '' : `: ${code}`}; texts cannot be stored, and searches go by words`,
    advice: 'Run mcp-vector-server doctor: it tries the model and says what is in the way.',
    detail: `${space}: ${state}`,
  };
}

function memoryCheck({ rssBytes, memoryBytes, windows, heapBytes }: Readings, limit: Limit): Found {
  if (rssBytes === undefined) return ok('not known: no server runs');
  const percent = Math.round((100 * rssBytes) / memoryBytes);
  return measured(
    percent,
    limit,
    `${percent} % of ${amount(memoryBytes)}: ${amount(rssBytes)} in ${count(1 + windows.length, 'process', 'processes')}, heap of the owner ${amount(heapBytes)}`,
    'Close windows that nobody uses, restart the server, or see mcp-vector-server capacity; a machine or cgroup with more memory helps in the end.',
  );
}

function diskCheck({ disk }: Readings, limit: Limit): Found {
  if (disk === undefined)
    return {
      level: 'warn',
      message: 'not known: the file system does not say',
      advice: 'Look whether the disk of the store is there.',
    };
  const percent = Math.round(disk.usedPercent);
  return measured(
    percent,
    limit,
    `${percent} % of ${amount(disk.totalBytes)} used, ${amount(disk.freeBytes)} free`,
    'Make room on the disk of the store: old backups, logs, or history (mcp-vector-server horizon); on a full disk no write is taken.',
  );
}

/** A server that starts is busy for a moment, and so is one that embeds. */
const CPU_JUDGED_MS = 60_000;

function cpuCheck({ isServed, cpu, cpuMean }: Readings, limit: Limit): Found {
  const used = isServed ? cpuMean : cpu;
  if (used === undefined) return ok('not known yet');
  const percent = Math.round(used.all);
  const shares = `${percent} % of all cores, ${Math.round(used.own)} % by the owner of the store`;
  // A moment says nothing, and nobody looked before.
  if (!isServed) return ok(`${percent} % of all cores just now; judged where a server runs`);
  const { spanMs } = cpuMean!;
  if (spanMs < CPU_JUDGED_MS) return ok(`${shares}, since it started; judged after a minute`);
  return measured(percent, limit, `${shares}, over ${Math.round(spanMs / 60_000)} min`, CPU_ADVICE);
}

const CPU_ADVICE =
  'Look what else runs (top). Of this server it is mostly ingesting, embedding or verifying, and passes.';

function sizeCheck({ storeBytes, logBytes }: Readings, limit: Limit): Found {
  const gigabytes = Math.round(storeBytes / 1e7) / 100;
  return measured(
    gigabytes,
    limit,
    `${amount(storeBytes)}, of which the log ${amount(logBytes)}`,
    'See mcp-vector-server capacity, and mcp-vector-server horizon for giving up old history.',
  );
}

const filesCheck = ({ files }: Readings, limit: Limit): Found =>
  measured(
    files,
    limit,
    `${count(files, 'file')} in the store`,
    'A start looks at each of the log’s. Look into quarantine/, damaged/ and evidence/ for what can go elsewhere.',
  );

function logFileCheck({ logFileBytes }: Readings, limit: Limit): Found {
  if (logFileBytes === undefined) return ok('nothing is logged to a file');
  return measured(
    Math.round(logFileBytes / 1e6),
    limit,
    amount(logFileBytes),
    'Let the file of VECTOR_LOG_FILE be rotated, or log less (VECTOR_LOG_LEVEL).',
  );
}

function responseCheck({ response }: Readings, limit: Limit): Found {
  if (response === undefined || response.kind === 'nothing to read')
    return ok('there is nothing to read yet');
  if (response.kind === 'failed')
    return {
      level: 'critical',
      message: `a small read or search failed: ${response.code}`,
      advice: `See ${response.code} in docs/errors.md, and the server’s log.`,
    };
  const [read, search] = [response.readMs, response.searchMs].map(ms => Math.round(ms * 10) / 10);
  return measured(
    Math.round(Math.max(read!, search!)),
    limit,
    `a small read ${read} ms, two searches ${search} ms`,
    'Look at cpu, memory and lag here: a machine that swaps, or graphs that are behind, are the usual causes.',
  );
}

function slowCheck({ slowLately }: Readings, limit: Limit): Found {
  if (slowLately === undefined) return ok('not known: no server runs');
  return measured(
    slowLately,
    limit,
    `${count(slowLately, 'call')} of over a second within the last hour`,
    'See mcp-vector-server health --history for when, and at which load.',
  );
}
