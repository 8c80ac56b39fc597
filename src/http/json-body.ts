/** The JSON that a request brings: declared as such, within bounds, and whole. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isJsonContentType } from '../mcp/sdk.js';
import type { Budget } from './limits.js';
import { badRequest, bodyTooLarge, notJson, type Refusal, tooBusy } from './refusals.js';

/** What the headers alone say against a body. */
export function undeclaredJson(request: IncomingMessage): Refusal | undefined {
  return isJsonContentType(request.headers['content-type'])
    ? undefined
    : badRequest(415, 'the body is not declared as JSON', 'Send Content-Type: application/json.');
}

export interface JsonBody {
  readonly value: unknown;
  /** Gives the room back that its bytes took. */
  release(): void;
}

/**
 * Gives a client that waits for it leave to send, and reads what comes.
 * @param budget from which every byte is taken until `release`
 * @returns the body, or why there is none: undefined where the client is gone, and nobody can be told
 */
export async function readJson(
  request: IncomingMessage,
  response: ServerResponse,
  maxBytes: number,
  budget: Budget,
): Promise<JsonBody | { readonly refusal: Refusal | undefined }> {
  if (request.headers.expect !== undefined) response.writeContinue();
  const body = await readBody(request, maxBytes, budget);
  switch (body.kind) {
    case 'too large':
      return { refusal: bodyTooLarge(maxBytes) };
    case 'no room':
      return { refusal: tooBusy('the server is taking in as much as it can hold') };
    case 'cut off':
      return { refusal: undefined };
    case 'whole': {
      const { bytes, release } = body;
      const value = parseJson(bytes);
      if (value !== undefined) return { value, release };
      release();
      return { refusal: notJson() };
    }
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

interface WholeBody {
  readonly kind: 'whole';
  readonly bytes: Buffer;
  release(): void;
}
/** Why there is no body. */
interface NoBody {
  readonly kind: 'too large' | 'no room' | 'cut off';
}

/**
 * Reads a request's body, and stops reading once it is clear that it is too large.
 * @param budget from which every byte is taken until `release`
 */
async function readBody(
  request: IncomingMessage,
  maxBytes: number,
  budget: Budget,
): Promise<WholeBody | NoBody> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return { kind: 'too large' };
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  let isKept = false;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      if (sizeBytes + chunk.length > maxBytes) return { kind: 'too large' };
      if (!budget.take(chunk.length)) return { kind: 'no room' };
      sizeBytes += chunk.length;
      chunks.push(chunk);
    }
    isKept = true;
    return { kind: 'whole', bytes: Buffer.concat(chunks), release: () => budget.give(sizeBytes) };
  } catch {
    // The connection is gone, or the parser refused what came: Node has answered, and nobody listens any more.
    return { kind: 'cut off' };
  } finally {
    if (!isKept) budget.give(sizeBytes);
  }
}
