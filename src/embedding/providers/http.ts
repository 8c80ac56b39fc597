import { CodedError } from '../../domain/errors.js';
import type { ApiKey } from '../settings.js';
import { following } from './signals.js';

/** How patient a client is; the defaults keep a request within the 60 s that MCP clients wait. */
export interface Patience {
  /** One attempt, from connecting to the last byte of the answer. Default 30 000. */
  readonly timeoutMs: number;
  /** Attempts in all. Default 5. */
  readonly attempts: number;
  /** Upper bound of the first pause between attempts; doubles with each. Default 250. */
  readonly backoffMs: number;
  /** All attempts and the pauses between them. Default 50 000. */
  readonly budgetMs: number;
}

export const PATIENCE: Patience = { timeoutMs: 30_000, attempts: 5, backoffMs: 250, budgetMs: 50_000 };

/** Of an answer: 64 vectors of 4 096 components as JSON are about 6 MB. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** Of a server's own words in our errors. */
const MAX_DETAIL_CHARS = 200;

export interface JsonRequest {
  readonly url: string;
  /** Sent as JSON by POST; undefined makes it a GET. */
  readonly body?: unknown;
  readonly key: ApiKey | undefined;
  readonly signal: AbortSignal;
  readonly patience: Patience;
  /** What to do if the server cannot be reached. */
  readonly howToReach: string;
}

/**
 * Sends a request until there is an answer worth having: again after a lost connection, a timeout, 408, 429 and 5xx, with
 * exponential back-off and full jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), or as
 * late as Retry-After says. Redirects are not followed: the key and the texts are for this server alone.
 * @returns the answer's body, parsed
 * @throws CodedError EMBEDDER_UNAVAILABLE, EMBEDDER_TIMEOUT, EMBEDDER_RATE_LIMITED, EMBEDDER_REJECTED,
 *   EMBEDDER_BAD_ANSWER; CANCELLED once the signal is aborted
 */
export async function requestJson(request: JsonRequest): Promise<unknown> {
  const { patience, signal } = request;
  const deadlineMs = performance.now() + patience.budgetMs;
  for (let attempt = 1; ; attempt++) {
    const timeoutMs = Math.min(patience.timeoutMs, deadlineMs - performance.now());
    const outcome = await attemptOnce(request, timeoutMs);
    if ('answer' in outcome) return outcome.answer;
    const pauseMs = outcome.retryAfterMs ?? Math.random() * patience.backoffMs * 2 ** (attempt - 1);
    const isLast = attempt >= patience.attempts || performance.now() + pauseMs >= deadlineMs;
    if (!outcome.mayRetry || isLast) throw outcome.error;
    await pause(pauseMs, signal);
  }
}

type Outcome = { answer: unknown } | Failure;

interface Failure {
  readonly error: CodedError;
  readonly mayRetry: boolean;
  readonly retryAfterMs?: number | undefined;
}

function attemptOnce(request: JsonRequest, timeoutMs: number): Promise<Outcome> {
  return following([request.signal], async controller => {
    const timer = setTimeout(() => controller.abort(), timeoutMs);
    try {
      return await exchange(request, controller.signal);
    } catch (error) {
      if (error instanceof CodedError) return { error, mayRetry: false };
      throwIfCancelled(request.signal);
      return { error: connectionError(error, controller.signal.aborted, timeoutMs, request), mayRetry: true };
    } finally {
      clearTimeout(timer);
    }
  });
}

async function exchange(request: JsonRequest, signal: AbortSignal): Promise<Outcome> {
  const { url, body, key } = request;
  throwIfCancelled(signal);
  const response = await fetch(url, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(key === undefined ? {} : { authorization: `Bearer ${key.reveal()}` }),
    },
    body: body === undefined ? null : JSON.stringify(body),
    redirect: 'manual',
    signal,
  });
  const text = await readBounded(response, url);
  return response.ok ? { answer: parseJson(text, url) } : refusal(response, text, request);
}

/** The error for an attempt that ended without an answer. */
function connectionError(
  error: unknown,
  timedOut: boolean,
  timeoutMs: number,
  { url, howToReach }: JsonRequest,
): CodedError {
  if (timedOut) {
    return new CodedError(
      'EMBEDDER_TIMEOUT',
      `${nameOf(url)} did not answer within ${Math.round(timeoutMs)} ms`,
      'Try again; if it keeps happening, see whether the embedding server is overloaded or still loads its model.',
    );
  }
  return new CodedError(
    'EMBEDDER_UNAVAILABLE',
    `${nameOf(url)} cannot be reached: ${reasonOf(error)}`,
    howToReach,
    { cause: error },
  );
}

/** What an answer other than 2xx means. */
function refusal(response: Response, text: string, { url, key }: JsonRequest): Failure {
  const { status } = response;
  const { message, code } = serverWords(text, key);
  const said = `${nameOf(url)} answered ${status}${message === '' ? '' : `: ${message}`}`;
  const waitMs = retryAfterMs(response);
  const wait = waitMs === undefined ? 'a little' : `${Math.ceil(waitMs / 1000)} s`;
  if (status === 429 && code !== 'insufficient_quota') {
    const wayOut = `Wait ${wait} and try again, or send fewer texts.`;
    return {
      error: new CodedError('EMBEDDER_RATE_LIMITED', said, wayOut),
      mayRetry: true,
      retryAfterMs: waitMs,
    };
  }
  if (status === 408 || status >= 500) {
    const wayOut = `Wait ${wait} and try again, or look into the embedding server’s log.`;
    return {
      error: new CodedError('EMBEDDER_UNAVAILABLE', said, wayOut),
      mayRetry: true,
      retryAfterMs: waitMs,
    };
  }
  return { error: new CodedError('EMBEDDER_REJECTED', said, rejectionWayOut(status)), mayRetry: false };
}

function rejectionWayOut(status: number): string {
  if (status === 401 || status === 403) return 'Check VECTOR_EMBEDDER_KEY.';
  if (status === 404)
    return 'Check VECTOR_EMBEDDER_MODEL and VECTOR_EMBEDDER_URL; with ollama, pull the model first.';
  if (status === 429) return 'Check the plan and billing of the account behind VECTOR_EMBEDDER_KEY.';
  if (status >= 300 && status < 400) return 'Set VECTOR_EMBEDDER_URL to where the server really is.';
  return 'Check VECTOR_EMBEDDER_MODEL and VECTOR_EMBEDDER_DIMENSION against what the server offers.';
}

/** Retry-After in ms (RFC 9110, 10.2.3: seconds or an HTTP date); undefined where there is none to be understood. */
function retryAfterMs(response: Response): number | undefined {
  const value = response.headers.get('retry-after')?.trim();
  if (value === undefined || value === '') return undefined;
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value) * 1000;
  const dateMs = Date.parse(value);
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - Date.now());
}

/** The message and code in the usual shapes of an error: `{error: {message, code}}`, `{error: "…"}`, `{message}`. */
function serverWords(text: string, key: ApiKey | undefined): { message: string; code: unknown } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    // Not JSON: a proxy's page. Its status says enough.
    return { message: '', code: undefined };
  }
  const error = field(parsed, 'error') ?? parsed;
  const message = typeof error === 'string' ? error : field(error, 'message');
  return {
    message: typeof message === 'string' ? withoutKey(message, key).slice(0, MAX_DETAIL_CHARS) : '',
    code: field(error, 'code'),
  };
}

/** Servers repeat a wrong key, whole or starred out (`sk-ab***cd`). */
function withoutKey(message: string, key: ApiKey | undefined): string {
  const whole = key === undefined ? message : message.replaceAll(key.reveal(), '[redacted]');
  return whole.replace(/[^\s*]*\*{3}\S*/g, '[redacted]').replace(/\s+/g, ' ');
}

export function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

/** The error for an answer that is not what the API promises. */
export function badAnswer(url: string, what: string): CodedError {
  return new CodedError(
    'EMBEDDER_BAD_ANSWER',
    `${nameOf(url)}: ${what}`,
    'Check that VECTOR_EMBEDDER_URL is an embeddings server and VECTOR_EMBEDDER_MODEL an embedding model.',
  );
}

async function readBounded(response: Response, url: string): Promise<string> {
  if (response.body === null) return '';
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    sizeBytes += chunk.byteLength;
    // Leaving the loop cancels the stream.
    if (sizeBytes > MAX_ANSWER_BYTES)
      throw badAnswer(url, `an answer of more than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseJson(text: string, url: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw badAnswer(url, 'the answer is not JSON');
    throw error;
  }
}

/** Without its query, which may hold a key. */
function nameOf(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}

/** fetch says "fetch failed"; the reason is in its cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  const code = field(cause, 'code');
  if (typeof code === 'string') return code;
  return cause instanceof Error && cause.message !== '' ? cause.message : 'connection failed';
}

export function throwIfCancelled(signal: AbortSignal): void {
  if (signal.aborted) {
    throw new CodedError('CANCELLED', 'the embedding was cancelled', 'Call again if it is still wanted.', {
      cause: signal.reason,
    });
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      try {
        throwIfCancelled(signal);
        resolve();
      } catch (error) {
        reject(error);
      }
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}
