/** Coded errors as answers over HTTP. */
import { CodedError } from '../domain/errors.js';

/** A refusal with what HTTP says beside the error. */
export interface Refusal {
  readonly status: number;
  readonly error: CodedError;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON-RPC's number for it where it is not -32000 (a server's own). */
  readonly rpcCode?: number;
}

/** The body on /mcp, where clients expect JSON-RPC. @param id of the request, where it could be read */
export function rpcBody({ error, rpcCode = -32_000 }: Refusal, id: string | number | null = null): string {
  const { code, message, wayOut, details } = error;
  return JSON.stringify({
    jsonrpc: '2.0',
    id,
    error: { code: rpcCode, message: `${code}: ${message}. ${wayOut}`, data: { code, ...details } },
  });
}

/** The body elsewhere. */
export function plainBody({ error: { code, message, wayOut } }: Refusal): string {
  return `${JSON.stringify({ code, message, wayOut })}\n`;
}

const REALM = 'Bearer realm="mcp-vector-server"';

/** @param wasGiven whether a token came along that is none of ours, or no longer */
export function unauthorized(wasGiven: boolean): Refusal {
  return {
    status: 401,
    headers: { 'WWW-Authenticate': wasGiven ? `${REALM}, error="invalid_token"` : REALM },
    error: new CodedError(
      'UNAUTHORIZED',
      wasGiven ? 'the token is unknown, revoked or expired' : 'there is no bearer token in the request',
      'Send "Authorization: Bearer mvs_…"; whoever runs the server makes one: mcp-vector-server token create NAME --scope write.',
    ),
  };
}

export function insufficientScope(error: CodedError): Refusal {
  return {
    status: 403,
    headers: {
      'WWW-Authenticate': `${REALM}, error="insufficient_scope", scope="${String(error.details?.needed)}"`,
    },
    error,
  };
}

export function forbidden(code: 'HOST_FORBIDDEN' | 'ORIGIN_FORBIDDEN'): Refusal {
  // What was sent is not repeated: the answer may be shown by a browser.
  const [header, option] =
    code === 'HOST_FORBIDDEN' ? ['Host', '--allow-host'] : ['Origin', '--allow-origin'];
  return {
    status: 403,
    error: new CodedError(
      code,
      `the server does not answer requests with this ${header} header`,
      `If it is right, start the server with ${option} and that name.`,
    ),
  };
}

/** @param seconds until it is worth asking again */
export function rateLimited(seconds: number): Refusal {
  return {
    status: 429,
    headers: { 'Retry-After': String(Math.max(1, Math.ceil(seconds))) },
    error: new CodedError(
      'RATE_LIMITED',
      'more requests than the server takes',
      'Wait, then ask less often.',
    ),
  };
}

export function tooBusy(what: string): Refusal {
  return {
    status: 429,
    headers: { 'Retry-After': '1' },
    error: new CodedError('SERVER_BUSY', what, 'Ask again when an answer has come.'),
  };
}

export function bodyTooLarge(maxBytes: number): Refusal {
  return {
    status: 413,
    headers: { Connection: 'close' },
    error: new CodedError(
      'TOO_LARGE',
      `the body of a request may have ${maxBytes} bytes`,
      'Send less at once; ingest long documents as files.',
    ),
  };
}

export function shuttingDown(): Refusal {
  return {
    status: 503,
    headers: { Connection: 'close', 'Retry-After': '5' },
    error: new CodedError('ENGINE_CLOSED', 'the server is shutting down', 'Ask again when it is back.'),
  };
}

export function badRequest(
  status: 400 | 404 | 405 | 406 | 408 | 415 | 431,
  message: string,
  wayOut: string,
): Refusal {
  return {
    status,
    ...(status === 405 && { headers: { Allow: 'POST, GET, DELETE' } }),
    error: new CodedError(status === 404 ? 'RESOURCE_NOT_FOUND' : 'INVALID_ARGUMENT', message, wayOut),
  };
}

export const notJson = (): Refusal => ({
  ...badRequest(400, 'the body is not JSON', 'Send one JSON-RPC message in UTF-8.'),
  rpcCode: -32_700,
});
