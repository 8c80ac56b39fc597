import { isCoded } from '../domain/errors.js';
import { ProtocolError, ProtocolErrorCode, ResourceNotFoundError } from './sdk.js';

/** A tool's answer: structured, and the same as text for clients that read only that. */
export function answerResult(structured: object) {
  return {
    content: [{ type: 'text' as const, text: JSON.stringify(structured) }],
    structuredContent: structured as Record<string, unknown>,
  };
}

/**
 * An error as a tool's result: complete in its text (`CODE: message. What to do. {details}`), without structured
 * content, which clients drop from errors.
 */
export function errorResult(tool: string, error: unknown) {
  return { isError: true, content: [{ type: 'text' as const, text: errorText(tool, error) }] };
}

/** What was asked for by name is not there. */
const NOT_FOUND = ['RESOURCE_NOT_FOUND', 'COLLECTION_NOT_FOUND'];
/** The caller can mend these: "invalid params" in JSON-RPC's terms. */
const CALLERS_FAULT = /^(INVALID_ARGUMENT|TOO_LARGE|UNKNOWN_|MOMENT_|MARK_NOT_FOUND|CURSOR_INVALID)/;

/**
 * An error as the answer to a request that is no tool call. The code stands in its message as in a tool's error, and in
 * its data.
 */
export function protocolError(method: string, error: unknown): ProtocolError {
  const text = errorText(method, error);
  const data = isCoded(error) ? { code: error.code, ...error.details } : { code: 'INTERNAL' };
  const isCallers = CALLERS_FAULT.test(data.code);
  return new ProtocolError(
    isCallers ? ProtocolErrorCode.InvalidParams : ProtocolErrorCode.InternalError,
    text,
    data,
  );
}

/**
 * An error as the answer to resources/read. Where there is no such resource, its data is the URI and nothing else: by that
 * clients tell it from other invalid requests, so that the code stands in its message alone.
 */
export function resourceError(uri: string, error: unknown): ProtocolError {
  return isCoded(error) && NOT_FOUND.includes(error.code)
    ? new ResourceNotFoundError(uri, errorText('resources/read', error))
    : protocolError('resources/read', error);
}

function errorText(what: string, error: unknown): string {
  if (!isCoded(error)) {
    // Its message may quote what was being stored; the log has the name and the stack.
    const name = error instanceof Error ? error.name : typeof error;
    return `INTERNAL: ${what} failed in a way it has no code for (${name}). Look into the server's log and report it.`;
  }
  const details = error.details === undefined ? '' : ` ${JSON.stringify(error.details)}`;
  return `${error.code}: ${sentence(error.message)} ${sentence(error.wayOut)}${details}`;
}

const sentence = (text: string) => (/[.!?]$/.test(text) ? text : `${text}.`);

/** An SDK error's message as it may be logged: it appends the message that it could not handle, which may hold texts. */
export const withoutContent = (error: Error) => error.message.replace(/[{[].*$/s, '…');
