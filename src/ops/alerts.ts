/** Tells people when a level of health changes, by the channels that are configured. */
import { CodedError, isCoded } from '../domain/errors.js';
import type { AlertDelivery, HealthAnswer, Level } from '../domain/health.js';
import { printable } from '../domain/printable.js';
import { readOpsFile, setAside, writeOpsFile } from '../engine/ops-file.js';
import type { Logger } from '../log.js';
import type { AlertSettings } from '../monitoring.js';
import { VERSION } from '../version.js';
import {
  type AlertState,
  afterSending,
  assertAlertState,
  CHANNELS,
  type Change,
  type Channel,
  type DueAlert,
  dueAlerts,
  NO_ALERTS,
  settle,
} from './alert-state.js';

/** What is sent. Fixed words and figures, and the name of the store's directory: nothing that was stored, and no path. */
export interface AlertMessage {
  readonly program: 'mcp-vector-server';
  readonly version: string;
  readonly time: string;
  readonly kind: 'alert' | 'recovery' | 'test';
  readonly store: string;
  /** Of the store as a whole, now. */
  readonly level: Level;
  /** All of it in one line, as chat services want it. */
  readonly text: string;
  readonly alerts: readonly {
    readonly check: string;
    readonly change: Change;
    readonly level: Level;
    readonly before: Level;
    readonly message: string;
    readonly advice?: string;
  }[];
}

export interface AlertsOptions {
  readonly storeDir: string;
  readonly settings: AlertSettings;
  readonly logger: Logger;
  readonly clock: () => number;
  /** How long a channel may take. Default 10 000. */
  readonly timeoutMs?: number;
}

const FILE = 'alerts.json';
const FORMAT = 1;
const TIMEOUT_MS = 10_000;

export class Alerts {
  private state: AlertState | undefined;
  private readonly channels: readonly Channel[];
  private readonly ending = new AbortController();

  constructor(private readonly options: AlertsOptions) {
    const { settings } = options;
    this.channels = CHANNELS.filter(channel => settings[channel] !== undefined);
  }

  /** Takes in the levels of a sample, and sends what is due. Does not throw: what failed is logged, and due again. */
  async take(answer: HealthAnswer): Promise<void> {
    if (this.channels.length === 0) return;
    const { settings, clock } = this.options;
    const before = this.load();
    let state = settle(before, answer.checks);
    const sent = await Promise.all(
      this.channels.map(async channel => {
        const due = dueAlerts(state, channel, clock(), settings.repeatMs);
        if (due.length === 0) return { channel, due };
        const delivery = await this.send(channel, messageOf(answer, due));
        return { channel, due: delivery.sent ? due : [] };
      }),
    );
    for (const { channel, due } of sent)
      if (due.length > 0) state = afterSending(state, channel, due, clock());
    if (JSON.stringify(state) !== JSON.stringify(before)) await this.save(state);
  }

  /** Sends a test by each channel. */
  async test(answer: HealthAnswer): Promise<AlertDelivery[]> {
    const message: AlertMessage = {
      ...messageOf(answer, []),
      kind: 'test',
      text: `mcp-vector-server: a test of alerts of the store ${nameOf(answer)}, which is ${answer.level}`,
    };
    return Promise.all(this.channels.map(channel => this.send(channel, message)));
  }

  /** Gives up what is on its way. */
  close(): void {
    this.ending.abort();
  }

  private async send(channel: Channel, message: AlertMessage): Promise<AlertDelivery> {
    const { logger, timeoutMs = TIMEOUT_MS } = this.options;
    const body = `${JSON.stringify(message)}\n`;
    try {
      await this.deliver(channel, body, timeoutMs);
      logger.info({ channel, kind: message.kind, level: message.level }, 'alert sent');
      return { channel, sent: true };
    } catch (error) {
      const { code, message: what } = asCoded(error);
      if (!this.ending.signal.aborted) logger.error({ code, channel }, `alert not sent: ${what}`);
      return { channel, sent: false, code, message: what };
    }
  }

  /** Loaded here: TLS and the like cost a start some ten milliseconds, and few need them. */
  private async deliver(channel: Channel, body: string, timeoutMs: number): Promise<void> {
    const { settings } = this.options;
    const ending = this.ending.signal;
    if (channel === 'command') {
      const { runAlertCommand } = await import('./alert-command.js');
      await runAlertCommand(settings.command!, body, timeoutMs, ending);
    } else {
      const { postWebhook } = await import('./webhook.js');
      await postWebhook(settings.webhook!.reveal(), body, { timeoutMs, ending });
    }
  }

  private load(): AlertState {
    if (this.state !== undefined) return this.state;
    const { storeDir, logger } = this.options;
    this.state = NO_ALERTS;
    try {
      const text = readOpsFile(storeDir, FILE);
      if (text === undefined) return this.state;
      const { format, state } = JSON.parse(text);
      if (format !== FORMAT) throw new Error('it is of another format');
      assertAlertState(state);
      this.state = state;
    } catch (error) {
      setAside(storeDir, FILE);
      logger.warn(
        { code: 'OPS_FILE_DAMAGED' },
        `ops/${FILE} cannot be read (${(error as Error).message}), and is kept as ${FILE}.damaged: alerts may be sent once more than they should`,
      );
    }
    return this.state;
  }

  private async save(state: AlertState): Promise<void> {
    const { storeDir, logger } = this.options;
    this.state = state;
    try {
      await writeOpsFile(storeDir, FILE, `${JSON.stringify({ format: FORMAT, state })}\n`);
    } catch (error) {
      // It is still known here; the next owner may send something once more.
      logger.warn(`which alerts were sent could not be noted: ${(error as Error).message}`);
    }
  }
}

const asCoded = (error: unknown) =>
  isCoded(error)
    ? error
    : new CodedError('INTERNAL', `without a code (${(error as Error).name})`, 'Report it.');

/** A directory may be called anything. */
const nameOf = ({ store }: HealthAnswer): string => printable(store).replace(/\s+/g, ' ').slice(0, 100);

function messageOf(answer: HealthAnswer, due: readonly DueAlert[]): AlertMessage {
  const alerts = due.map(({ check, change, level, before }) => {
    const { message = '', advice } = answer.checks.find(({ name }) => name === check) ?? {};
    return { check, change, level, before, message, ...(advice !== undefined && { advice }) };
  });
  const isRecovery = alerts.every(({ change }) => change === 'recovered');
  const parts = alerts.map(({ check, change, level, message }) =>
    change === 'recovered' ? `${check} is ok again (${message})` : `${check} is ${level}: ${message}`,
  );
  return {
    program: 'mcp-vector-server',
    version: VERSION,
    time: answer.time,
    kind: isRecovery ? 'recovery' : 'alert',
    store: nameOf(answer),
    level: answer.level,
    text: `mcp-vector-server, store ${nameOf(answer)}: ${parts.join('; ')}`,
    alerts,
  };
}
