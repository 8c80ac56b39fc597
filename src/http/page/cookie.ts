/** The cookie of a session of the page. */
import type { IncomingMessage } from 'node:http';

/** Calls come with an Origin, which tells whether the browser speaks TLS, be it to a proxy. */
const isSecure = (request: IncomingMessage) => request.headers.origin?.startsWith('https:') === true;

/**
 * Browsers keep cookies by host alone: the port in the name keeps two servers of one machine apart. `__Host-` (RFC 6265bis) lets no
 * other name of the domain set it.
 */
function cookieName(request: IncomingMessage): string {
  const port = /:(\d+)$/.exec(request.headers.host ?? '')?.[1] ?? '';
  return `${isSecure(request) ? '__Host-' : ''}mcp_vector_page${port}`;
}

export function cookie(request: IncomingMessage, value: string, maxAgeS: number): string {
  const secure = isSecure(request) ? '; Secure' : '';
  return `${cookieName(request)}=${value}; Path=/; Max-Age=${maxAgeS}; HttpOnly; SameSite=Strict${secure}`;
}

/** The value that came along; undefined for none. */
export function cookieOf(request: IncomingMessage): string | undefined {
  const name = cookieName(request);
  const found = (request.headers.cookie ?? '')
    .split(';')
    .map(part => part.trim())
    .filter(part => part.startsWith(`${name}=`));
  // Two of one name: one of them was put there by somebody else.
  return found.length === 1 ? found[0]!.slice(name.length + 1) : undefined;
}
