import { readOwner } from '../../../wal/owner.js';
import type { Config } from '../../config.js';
import { CodedError, isCoded } from '../../domain/errors.js';
import type { Engine } from '../../domain/face.js';
import type { AlertDelivery, HealthAnswer, Level, Sample, SamplesAnswer } from '../../domain/health.js';
import { judge } from '../../ops/checks.js';
import { Health } from '../../ops/health.js';
import { processState, thisMachine } from '../../ops/machine.js';
import { readingsFromOutside } from '../../ops/readings.js';
import { usage } from '../arguments.js';
import type { Call } from '../command.js';
import { configOf, contextOf, reachConfigured } from '../engine.js';
import { HEALTH_EXIT } from '../exit-codes.js';
import { ownHistory } from '../own-history.js';
import { columns, count, grouped, oneLine, type Style, say, sayJson, size, styler } from '../printing.js';

/** How long processors are watched where no server did. */
const CPU_MS = 300;
/** Errors that say nothing of the store, but of whoever asks. */
const UNTOLD: ReadonlySet<string> = new Set([
  'STORE_MISSING',
  'STORE_FOREIGN',
  'CONFIG_INVALID',
  'OWNER_VERSION_MISMATCH',
  'OWNER_AUTH_FAILED',
  'SOCKET_UNSAFE',
  'WAL_NEWER_FORMAT',
]);

/** `health`: exit 0 ok, 1 warn, 2 critical, 3 where it cannot be told. */
export default async function health(call: Call): Promise<number> {
  if (call.has('test-alert') && call.has('history'))
    throw usage({ name: 'health' }, '--history and --test-alert are two questions');
  for (const option of ['since', 'limit', 'resolution'])
    if (call.text(option) !== undefined && !call.has('history'))
      throw usage({ name: 'health' }, `--${option} goes with --history`);
  const config = configOf(call);
  if (call.has('test-alert')) return testAlert(call, config);
  if (call.has('history')) return history(call, config);
  const answer = await askHealth(config);
  if (call.has('json')) sayJson(answer);
  else for (const line of healthLines(answer)) say(line);
  return HEALTH_EXIT[answer.level];
}

/** @throws CodedError where it cannot be told: see UNTOLD */
async function askHealth(config: Config): Promise<HealthAnswer> {
  try {
    return await withReached(
      config,
      engine => engine.health({}, contextOf('health')),
      async engine => {
        const own = ownHealth(config, engine);
        await new Promise(resolve => setTimeout(resolve, CPU_MS));
        return own.report();
      },
    );
  } catch (error) {
    if (!isCoded(error) || UNTOLD.has(error.code)) throw error;
    const { code, message, wayOut } = error;
    const owner = readOwner(config.storePath);
    const pid = owner !== undefined && processState(owner.pid) !== 'gone' ? owner.pid : undefined;
    const source = { config, machine: thisMachine, clock: Date.now };
    return judge(await readingsFromOutside(source, { code, message, wayOut }, pid), config.monitoring.limits);
  }
}

const ownHealth = (config: Config, engine: Engine) =>
  new Health({
    ...{ engine, config, machine: thisMachine, clock: Date.now, isServed: false },
    windows: () => [],
    limits: config.monitoring.limits,
  });

/** Asks the server, or does it here where none runs. */
async function withReached<T>(
  config: Config,
  asked: (engine: Engine) => Promise<T>,
  here: (engine: Engine) => Promise<T>,
): Promise<T> {
  const reached = await reachConfigured(config, false);
  const engine = 'engine' in reached ? reached.engine : reached.own;
  try {
    return await ('engine' in reached ? asked(engine) : here(engine));
  } finally {
    await engine.close();
  }
}

const STYLES: Record<Level, Style> = { ok: 'green', warn: 'yellow', critical: 'red' };

function healthLines({ level, store, time, checks }: HealthAnswer): string[] {
  const style = styler(process.stdout);
  const width = 'critical'.length;
  const rows = columns(checks.map(({ name, message }) => [name, oneLine(message, 300)]));
  const lines = checks.flatMap(({ level: of, advice, detail }, n) => {
    const indent = ' '.repeat(width + 2);
    return [
      `${style(STYLES[of], of.padEnd(width))}  ${rows[n]}`,
      ...(of === 'ok' || detail === undefined ? [] : [`${indent}  ${oneLine(detail, 300)}`]),
      ...(advice === undefined ? [] : [`${indent}  → ${oneLine(advice, 300)}`]),
    ];
  });
  return [...lines, '', `${style(STYLES[level], level)}: store ${oneLine(store, 100)}, ${time}`];
}

async function testAlert(call: Call, config: Config): Promise<number> {
  const { deliveries } = await withReached(
    config,
    engine => engine.testAlert({}, contextOf('health')),
    async engine => {
      const { Alerts } = await import('../../ops/alerts.js');
      const { createLogger } = await import('../../log.js');
      // What fails is printed here.
      const logger = createLogger({ logLevel: 'silent', logFile: undefined });
      const alerts = new Alerts({
        ...{ storeDir: config.storePath, settings: config.monitoring.alerts, logger, clock: Date.now },
      });
      return { deliveries: await alerts.test(await ownHealth(config, engine).report()) };
    },
  );
  if (deliveries.length === 0)
    throw new CodedError(
      'CONFIG_INVALID',
      'no alerts are configured where the store is open',
      'Set VECTOR_ALERT_COMMAND or VECTOR_ALERT_WEBHOOK for the server, and restart it.',
    );
  if (call.has('json')) sayJson({ deliveries });
  else for (const delivery of deliveries) say(deliveryLine(delivery));
  return deliveries.every(({ sent }) => sent) ? HEALTH_EXIT.ok : HEALTH_EXIT.critical;
}

const deliveryLine = ({ channel, sent, code, message }: AlertDelivery): string =>
  sent ? `${channel}: sent` : `${channel}: not sent, ${code}: ${oneLine(message ?? '', 300)}`;

const DEFAULT_LIMIT = 60;

async function history(call: Call, config: Config): Promise<number> {
  const limit = call.integer('limit', { min: 1, max: 1_000_000, fallback: DEFAULT_LIMIT });
  const since = call.text('since');
  const resolution = call.text('resolution') as SamplesAnswer['resolution'] | undefined;
  const query = { ...(since !== undefined && { since }), ...(resolution !== undefined && { resolution }) };
  const context = contextOf('health');
  const answer = await withReached(
    config,
    engine => engine.samples(query, context),
    async engine => {
      const { readSamples } = await import('../../ops/monitor.js');
      return readSamples(
        { history: ownHistory(config), engine, clock: Date.now, sampleSeconds: 0 },
        query,
        context,
      );
    },
  );
  if (call.has('json')) {
    const isCut = call.text('limit') !== undefined;
    sayJson(isCut ? { ...answer, samples: answer.samples.slice(-limit) } : answer);
  } else for (const line of historyLines(answer, limit)) say(line);
  return HEALTH_EXIT.ok;
}

function historyLines({ samples, resolution, every_seconds: every }: SamplesAnswer, limit: number): string[] {
  if (samples.length === 0)
    return [
      every === 0
        ? 'No samples since then. A server keeps them while it runs, unless VECTOR_SAMPLE_SECONDS is off.'
        : `No samples since then. One is taken every ${every} s.`,
    ];
  const shown = samples.slice(-limit);
  const row = (sample: Sample): string[] => [
    sample.time.slice(0, 19).replace('T', ' '),
    sample.level,
    size(sample.rss_bytes),
    `${sample.memory_percent} %`,
    `${sample.cpu_percent} %`,
    `${sample.disk_percent} %`,
    size(sample.store_bytes),
    grouped(Math.round(sample.events)),
    grouped(Math.round(sample.items)),
    grouped(Object.values(sample.calls).reduce((sum, calls) => sum + calls, 0)),
    String(sample.errors),
    String(sample.slow),
    sample.latency_ms === undefined ? '' : `${sample.latency_ms.p50} / ${sample.latency_ms.p95}`,
  ];
  const head = ['time (UTC)', 'level', 'memory', '', 'CPU', 'disk', 'store', 'events', 'items'];
  return [
    ...columns([[...head, 'calls', 'errors', 'slow', 'ms p50 / p95'], ...shown.map(row)]),
    '',
    `${count(shown.length, 'row')}${shown.length < samples.length ? ` of ${grouped(samples.length)} (--limit)` : ''}, ${
      resolution === 'hour' ? 'means of hours' : 'samples as they were taken'
    }.`,
  ];
}
