/** What /metrics tells. Labels are names that this program gives: never a client's or a token's, which are anybody's words and without end. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { StatusAnswer } from '../domain/face.js';
import { type HealthAnswer, LEVELS } from '../domain/health.js';

/** Seconds: from an answer out of memory to a long ingest. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export const ROUTES = ['/mcp', '/health', '/ready', '/metrics'] as const;
/** The page's files and calls count as one each. */
export type Route = (typeof ROUTES)[number] | 'page' | 'api' | 'other';
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS']);

/** What is counted elsewhere and read when it is asked for. */
export interface Gauges {
  readonly inFlight: () => number;
  readonly streams: () => number;
  readonly sessions: () => number;
  /** The store's state; undefined where it cannot be told now. */
  readonly status: () => Promise<StatusAnswer | undefined>;
  /** How it does; undefined where it cannot be told now. */
  readonly health: () => Promise<HealthAnswer | undefined>;
}

export class Metrics {
  private readonly registry = new Registry();
  private readonly requests: Counter<'route' | 'method' | 'status'>;
  private readonly requestSeconds: Histogram<'route'>;
  private readonly calls: Counter<'tool' | 'code'>;
  private readonly callSeconds: Histogram<'tool'>;
  private readonly refusals: Counter<'code'>;

  private readonly store: {
    readonly reached: Gauge;
    readonly told: readonly (readonly [gauge: Gauge, of: (status: StatusAnswer) => number])[];
  };

  private readonly health: Record<'level' | 'value', Gauge<'check'>>;

  constructor(private readonly gauges: Gauges) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.requests = new Counter({
      name: 'mcp_http_requests_total',
      help: 'HTTP requests answered.',
      labelNames: ['route', 'method', 'status'],
      registers,
    });
    this.requestSeconds = new Histogram({
      name: 'mcp_http_request_duration_seconds',
      help: 'From the request’s headers to the last byte of its answer, event streams left out.',
      labelNames: ['route'],
      buckets: BUCKETS,
      registers,
    });
    this.calls = new Counter({
      name: 'mcp_tool_calls_total',
      help: 'Calls of tools, by the code of their answer (ok, or an error’s).',
      labelNames: ['tool', 'code'],
      registers,
    });
    this.callSeconds = new Histogram({
      name: 'mcp_tool_call_duration_seconds',
      help: 'The work of a tool.',
      labelNames: ['tool'],
      buckets: BUCKETS,
      registers,
    });
    this.refusals = new Counter({
      name: 'mcp_http_refusals_total',
      help: 'Requests refused before any work, by the code of the error.',
      labelNames: ['code'],
      registers,
    });
    this.gauge('mcp_http_requests_in_flight', 'Requests being answered.', gauges.inFlight);
    this.gauge('mcp_http_event_streams', 'Event streams that are open.', gauges.streams);
    this.gauge('mcp_http_sessions', 'Sessions of revisions before 2026-07-28.', gauges.sessions);
    this.store = this.storeGauges();
    const health = (name: string, help: string) =>
      new Gauge({ name: `mcp_health_${name}`, help, labelNames: ['check'], registers });
    this.health = {
      level: health('level', 'Of each check, and of all: 0 ok, 1 warn, 2 critical.'),
      value: health('value', 'What a check compares with its limit, in the unit of that limit.'),
    };
  }

  onRequest(route: Route, method: string, status: number, seconds: number | undefined): void {
    this.requests.inc({ route, method: METHODS.has(method) ? method : 'other', status: String(status) });
    if (seconds !== undefined) this.requestSeconds.observe({ route }, seconds);
  }

  onCall(tool: string, code: string, seconds: number): void {
    this.calls.inc({ tool, code });
    this.callSeconds.observe({ tool }, seconds);
  }

  onRefusal(code: string): void {
    this.refusals.inc({ code });
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  async text(): Promise<string> {
    const [status, health] = await Promise.all([this.gauges.status(), this.gauges.health()]);
    this.tellOfStore(status);
    this.tellOfHealth(health);
    return this.registry.metrics();
  }

  private gauge(name: string, help: string, value: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(value());
      },
    });
  }

  private storeGauges(): Metrics['store'] {
    const gauge = (name: string, help: string) =>
      new Gauge({ name: `mcp_store_${name}`, help, registers: [this.registry] });
    return {
      reached: gauge('reached', '1 while the store answers.'),
      told: [
        [gauge('head_seq', 'The number of the last event.'), ({ head }) => head.seq],
        [
          gauge('healthy', '1, or 0 for a store that takes no writes any more.'),
          ({ store }) => Number(store.state === 'ok'),
        ],
        [
          gauge('items', 'Live items.'),
          ({ collections }) => collections.reduce((sum, { items }) => sum + items, 0),
        ],
        [gauge('collections', 'Collections.'), ({ collections }) => collections.length],
        [gauge('bytes', 'Bytes of its files.'), ({ disk }) => disk.store_bytes],
        [
          gauge('tables_bytes', 'Memory of the catalog and the keyword index.'),
          ({ memory }) => memory.tables_bytes,
        ],
        [gauge('caches_bytes', 'Memory of what was read and is kept.'), ({ memory }) => memory.caches_bytes],
        [gauge('disk_free_bytes', 'Bytes free on its disk.'), ({ disk }) => disk.free_bytes],
      ],
    };
  }

  private tellOfHealth(health: HealthAnswer | undefined): void {
    const { level, value } = this.health;
    level.reset();
    value.reset();
    if (health === undefined) return;
    level.set({ check: 'all' }, LEVELS.indexOf(health.level));
    for (const check of health.checks) {
      level.set({ check: check.name }, LEVELS.indexOf(check.level));
      if (check.value !== undefined) value.set({ check: check.name }, check.value);
    }
  }

  /** One look at the store for all of them. Where it cannot be reached they are left out, since zero would be a lie. */
  private tellOfStore(status: StatusAnswer | undefined): void {
    this.store.reached.set(status === undefined ? 0 : 1);
    for (const [gauge, of] of this.store.told) {
      if (status === undefined) gauge.remove();
      else gauge.set(of(status));
    }
  }
}
