/** Calls of the server. */
import type { ActivityAnswer } from '../domain/activity.js';
import type { CapacityAnswer } from '../domain/capacity.js';
import type { ChartAnswer } from '../domain/charts.js';
import type { ItemView, ResolvedMoment, SearchHit, StatusAnswer } from '../domain/face.js';
import type { HealthAnswer } from '../domain/health.js';
import type { JobRun, ScheduleAnswer } from '../domain/schedule.js';
import type { Change, MarkAnswer, RevertAnswer, WordRun } from '../domain/travel.js';

export interface Me {
  readonly name: string;
  readonly version: string;
  readonly expires: string | null;
  readonly may_write: boolean;
  /** Jobs of the schedule. */
  readonly may_run: boolean;
}

/** The head of the log, and the epoch that its numbers are of. */
export interface Changes {
  readonly head: number;
  readonly epoch: number;
}

export type Capacity = Pick<CapacityAnswer, 'time' | 'forecasts' | 'advice'>;

export interface BackupState {
  /** Absent where none is known. */
  readonly newest?: {
    readonly time: string;
    /** The directory of backups. */
    readonly to: string;
    readonly seq: number;
    /** Events that are in none. */
    readonly missing: number;
  };
}

export interface StartedRun {
  readonly job: string;
  /** Where it ended at once. */
  readonly run?: JobRun;
}

export interface FoundHit extends Omit<SearchHit, 'context'> {
  readonly is_cut: boolean;
}

export interface SearchPage {
  readonly results: readonly FoundHit[];
  readonly moment: ResolvedMoment;
  readonly warning?: string;
  readonly hint?: string;
}

export interface ShownChange extends Change {
  readonly words?: readonly WordRun[];
  readonly metadata_keys: readonly string[];
}

export interface HistoryPage {
  readonly changes: readonly ShownChange[];
  readonly more: boolean;
  readonly cursor?: string;
}

export interface ListPage {
  readonly items: readonly (ItemView & { readonly is_cut: boolean })[];
  readonly more: boolean;
  readonly cursor?: string;
  readonly moment: ResolvedMoment;
}

interface Calls {
  readonly login: Me;
  readonly logout: object;
  readonly me: Me;
  readonly status: StatusAnswer;
  readonly activity: ActivityAnswer;
  readonly search: SearchPage;
  readonly list: ListPage;
  readonly history: HistoryPage;
  readonly revert: RevertAnswer;
  readonly mark: MarkAnswer;
  readonly changes: Changes;
  readonly health: HealthAnswer;
  readonly charts: ChartAnswer;
  readonly capacity: Capacity;
  readonly backup: BackupState;
  readonly schedule: ScheduleAnswer;
  readonly run: StartedRun;
}

/** The server's refusal: its code, what was wrong, and the way out. */
export class CallError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly wayOut: string,
  ) {
    super(message);
  }

  /** The server is not there, about to go, or asked too often: asking again later helps. */
  get isAway(): boolean {
    return ['UNREACHABLE', 'ENGINE_CLOSED', 'SERVER_BUSY', 'RATE_LIMITED'].includes(this.code);
  }
}

/** Called when the session is over. */
export const session: { ended: () => void } = { ended: () => undefined };

/** @throws CallError; an AbortError where `signal` said so */
export async function call<N extends keyof Calls>(
  name: N,
  body: object = {},
  signal?: AbortSignal,
): Promise<Calls[N]> {
  let response: Response;
  try {
    response = await fetch(`/api/${name}`, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        'X-Mcp-Vector-Page': '1',
        'X-Time-Zone': Intl.DateTimeFormat().resolvedOptions().timeZone,
      },
      body: JSON.stringify(body),
      ...(signal && { signal }),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new CallError(
      'UNREACHABLE',
      'the server does not answer',
      'Look whether serve runs, then try again.',
    );
  }
  if (response.ok) return response.json();
  const refusal = (await response.json().catch(() => ({}))) as Partial<CallError>;
  if (response.status === 401 && name !== 'login') session.ended();
  throw new CallError(
    refusal.code ?? String(response.status),
    refusal.message ?? 'the server refused',
    refusal.wayOut ?? '',
  );
}
