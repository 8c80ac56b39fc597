/**
 * Asking the client's user before a call that destroys much: by elicitation in the eras up to 2025-11-25, by an input_required result in
 * 2026-07-28 (the SDK makes the one of the other). A client that cannot ask its user is not asked; for it there are the dry run and its plan.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { CodedError } from '../domain/errors.js';
import {
  createRequestStateCodec,
  type InputRequiredResult,
  inputRequired,
  type ServerContext as RequestContext,
  type RequestStateCodec,
} from './sdk.js';
import type { Question } from './tools/tool.js';

/** How long an answer is waited for, in seconds: people are slow, and what a call would do changes. */
const ANSWER_SECONDS = 600;
/** The name of the question within a request. */
const QUESTION = 'confirm';

/** What was asked. It goes through the client, signed, and comes back with the answer. */
interface Asked {
  readonly tool: string;
  /** Digests: of the arguments, of whoever called, and of what the call would do. */
  readonly args: string;
  readonly principal: string;
  readonly effect: string;
  /** Each question can be answered once. */
  readonly nonce: string;
}

export interface ConfirmedCall {
  readonly tool: string;
  /** Checked, with defaults filled in. */
  readonly args: Record<string, unknown>;
  readonly question: Question;
  /** Who asks: an answer counts for them alone. */
  readonly principal: string;
}

/**
 * The key is this process': an answer to what another window asked, or an earlier process before a restart, is refused, and asked anew
 * costs the user one more click. So no key lies on a disk, and each answer can be taken only once.
 */
export class Confirmations {
  private readonly codec: RequestStateCodec<Asked>;
  /** Answered questions with the time at which they would have expired, in ms. */
  private readonly answered = new Map<string, number>();

  /** @param ttlSeconds for tests */
  constructor(private readonly ttlSeconds: number = ANSWER_SECONDS) {
    this.codec = createRequestStateCodec({ key: randomBytes(32), ttlSeconds });
  }

  /**
   * @returns undefined where the user said yes to exactly this call, else the question to send
   * @throws CodedError CONFIRMATION_DECLINED, CONFIRMATION_INVALID
   */
  async ask(call: ConfirmedCall, request: RequestContext): Promise<InputRequiredResult | undefined> {
    const { question } = call;
    const state = request.mcpReq.requestState<unknown>();
    // Whatever is answered to no question is no answer.
    if (state === undefined) return this.question(call);
    const asked = await this.verified(state, request);
    const wanted = askedOf(call);
    if (asked.tool !== wanted.tool || asked.args !== wanted.args || asked.principal !== wanted.principal)
      throw invalid('it is for another call');
    // What would be done is no longer what the user was told.
    if (asked.effect !== question.effect) return this.question(call);
    const answer = answerOf(request.mcpReq.inputResponses?.[QUESTION]);
    if (answer === undefined) return this.question(call);
    this.take(asked.nonce);
    if (answer) return undefined;
    throw new CodedError(
      'CONFIRMATION_DECLINED',
      'the user was asked, and did not agree; nothing was changed',
      'Do not repeat it unless the user asks for it.',
    );
  }

  private async question(call: ConfirmedCall): Promise<InputRequiredResult> {
    const asked = { ...askedOf(call), effect: call.question.effect, nonce: randomUUID() };
    return inputRequired({
      inputRequests: {
        [QUESTION]: inputRequired.elicit({
          message: call.question.message,
          requestedSchema: {
            type: 'object',
            properties: { confirm: { type: 'boolean', title: 'Yes, do it' } },
            required: ['confirm'],
          },
        }),
      },
      requestState: await this.codec.mint(asked),
    });
  }

  /** @throws CodedError CONFIRMATION_INVALID where it was answered before */
  private take(nonce: string): void {
    const nowMs = Date.now();
    for (const [known, untilMs] of this.answered) if (untilMs < nowMs) this.answered.delete(known);
    if (this.answered.has(nonce)) throw invalid('it was used already');
    this.answered.set(nonce, nowMs + this.ttlSeconds * 1000 + 1000);
  }

  private async verified(state: unknown, request: RequestContext): Promise<Asked> {
    try {
      return await this.codec.verify(String(state), request);
    } catch (error) {
      const isLate = error instanceof Error && error.message === 'expired';
      throw invalid(isLate ? 'it came too late' : 'this server asked no such question of this client', error);
    }
  }
}

const askedOf = ({ tool, args, principal }: ConfirmedCall) => ({
  tool,
  args: digest(args),
  principal: digest(principal),
});

/** Yes, no, or undefined where the question was not answered. */
function answerOf(response: unknown): boolean | undefined {
  if (typeof response !== 'object' || response === null) return undefined;
  const { action, content } = response as { action?: unknown; content?: unknown };
  if (action === 'accept')
    return typeof content === 'object' && (content as { confirm?: unknown } | null)?.confirm === true;
  return action === 'decline' || action === 'cancel' ? false : undefined;
}

function invalid(why: string, cause?: unknown): CodedError {
  return new CodedError(
    'CONFIRMATION_INVALID',
    `the answer does not count, ${why}; nothing was changed`,
    'Make the call again without requestState: the user is then asked anew.',
    { cause },
  );
}

/** Of the same arguments in any order. */
function digest(value: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(sorted(value)))
    .digest('base64url');
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, member]) => [key, sorted(member)]));
}
