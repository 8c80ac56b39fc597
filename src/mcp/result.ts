import { isCoded } from '../domain/errors.js';

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

function errorText(tool: string, error: unknown): string {
  if (!isCoded(error)) {
    // Its message may quote what was being stored; the log has the name and the stack.
    const name = error instanceof Error ? error.name : typeof error;
    return `INTERNAL: ${tool} failed in a way it has no code for (${name}). Look into the server's log and report it.`;
  }
  const details = error.details === undefined ? '' : ` ${JSON.stringify(error.details)}`;
  return `${error.code}: ${sentence(error.message)} ${sentence(error.wayOut)}${details}`;
}

const sentence = (text: string) => (/[.!?]$/.test(text) ? text : `${text}.`);

/** An SDK error's message as it may be logged: it appends the message that it could not handle, which may hold texts. */
export const withoutContent = (error: Error) => error.message.replace(/[{[].*$/s, '…');
