/** Between Node's requests and responses and those of the web standard, in which the SDK speaks. */
import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * The request as the SDK wants it. Its body has been read and parsed already, and travels beside it.
 * @param requestId takes the place of what the client sent in X-Request-Id
 */
export function webRequest(request: IncomingMessage, requestId: string, signal: AbortSignal): Request {
  const headers = new Headers();
  for (const [name, values] of Object.entries(request.headersDistinct))
    for (const value of values ?? []) headers.append(name, value);
  headers.set('x-request-id', requestId);
  // Whoever gets to see it has no use for the secret.
  headers.delete('authorization');
  return new Request('http://mcp-vector-server/mcp', { method: request.method ?? 'GET', headers, signal });
}

const EVENT_STREAM = 'text/event-stream';

/** Writes an answer, no faster than the client reads it. Resolves when it is written, or the client is gone. */
export async function sendResponse(response: Response, to: ServerResponse): Promise<void> {
  const headers = Object.fromEntries(response.headers);
  if (response.headers.get('content-type') !== EVENT_STREAM) {
    const whole = Buffer.from(await response.arrayBuffer());
    to.writeHead(response.status, { ...headers, 'Content-Length': whole.length });
    to.end(whole);
    return;
  }
  to.writeHead(response.status, headers);
  // An event stream's client waits for the headers.
  to.flushHeaders();
  const reader = response.body!.getReader();
  const gone = new Promise<void>(resolve => to.once('close', resolve));
  try {
    for (;;) {
      const next = await Promise.race([reader.read(), gone]);
      if (next === undefined || next.done || to.destroyed) break;
      if (!to.write(next.value))
        await Promise.race([new Promise<void>(resolve => to.once('drain', resolve)), gone]);
    }
  } finally {
    await reader.cancel().catch(() => undefined);
    to.end();
  }
}
