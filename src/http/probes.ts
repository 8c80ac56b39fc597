/** What asks how the server does gets here: /health, /ready, /metrics. */
import type { StatusAnswer } from '../domain/face.js';
import type { HealthAnswer } from '../domain/health.js';
import type { Logger } from '../log.js';
import type { Exchange } from './exchange.js';
import type { Metrics } from './metrics.js';

export interface ProbesOptions {
  /** The store's state. @throws where it cannot be told */
  status(): Promise<StatusAnswer>;
  /** How it does. @param maxAgeMs how old the answer may be @throws where it cannot be told */
  health(maxAgeMs: number): Promise<HealthAnswer>;
  readonly logger: Logger;
}

const STATUS_MS = 5_000;
/** Whoever asks without a token, every few milliseconds perhaps, costs one look in so many. */
const HEALTH_AGE_MS = 10_000;
/** Of those with one. */
const REPORT_AGE_MS = 1_000;

export class Probes {
  constructor(private readonly options: ProbesOptions) {}

  /** The level alone, unless a token came along: then the whole report, but for what only the machine's user should see. */
  async answerHealth(exchange: Exchange): Promise<undefined> {
    const isKnown = exchange.token !== undefined;
    const report = await this.healthOf(isKnown ? REPORT_AGE_MS : HEALTH_AGE_MS);
    const status = report === undefined || report.level === 'critical' ? 503 : 200;
    if (!isKnown) return exchange.sendText(status, `${report?.level ?? 'unknown'}\n`);
    const told = report && { ...report, checks: report.checks.map(({ detail: _, ...check }) => check) };
    return exchange.sendText(status, `${JSON.stringify(told ?? { level: 'unknown' })}\n`, 'application/json');
  }

  async answerReady(exchange: Exchange, isDraining: boolean): Promise<undefined> {
    const state = isDraining ? 'ending' : (await this.status())?.store.state;
    return exchange.sendText(state === 'ok' ? 200 : 503, `${state ?? 'the store is not reached'}\n`);
  }

  async answerMetrics(exchange: Exchange, metrics: Metrics): Promise<undefined> {
    return exchange.sendText(200, await metrics.text(), metrics.contentType);
  }

  /** The store's state; undefined where it cannot be told now. */
  status(): Promise<StatusAnswer | undefined> {
    return this.told(() => this.options.status());
  }

  /** How it does, as of the last seconds; undefined where it cannot be told now. */
  health(): Promise<HealthAnswer | undefined> {
    return this.healthOf(HEALTH_AGE_MS);
  }

  private healthOf(maxAgeMs: number): Promise<HealthAnswer | undefined> {
    return this.told(() => this.options.health(maxAgeMs));
  }

  /** What the store says, or undefined where it does not answer, or not in time. */
  private async told<T>(ask: () => Promise<T>): Promise<T | undefined> {
    const late = new Promise<undefined>(resolve => setTimeout(() => resolve(undefined), STATUS_MS).unref());
    try {
      return await Promise.race([ask(), late]);
    } catch (error) {
      this.options.logger.debug({ err: error }, 'the store does not tell its state');
      return undefined;
    }
  }
}
