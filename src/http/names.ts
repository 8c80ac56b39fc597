/** Which names a server answers to, and from where it may be asked: the guard against DNS rebinding. */
import { isIP } from 'node:net';
import { CodedError } from '../domain/errors.js';
import { validateHostHeader, validateOriginHeader } from '../mcp/sdk.js';

const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]'];

/** Whether only processes of this machine reach an address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** Whether a server listens on every address of the machine. */
const isEverywhere = (host: string) => host === '0.0.0.0' || host === '::';

export interface NamesOptions {
  /** The address that is listened on. */
  readonly host: string;
  /** Further names, without a port, that the Host header may have. */
  readonly allowHosts: readonly string[];
  /** Names, without scheme and port, of web pages that may ask; `moz-extension://*` for a scheme of an extension. */
  readonly allowOrigins: readonly string[];
}

/**
 * @throws CodedError INVALID_ARGUMENT where nobody said by which name a server that listens everywhere is reached
 */
export function assertNamed({ host, allowHosts }: NamesOptions): void {
  if (!isEverywhere(host) || allowHosts.length > 0) return;
  throw new CodedError(
    'INVALID_ARGUMENT',
    `--host ${host} listens on every address, and nothing says by which name clients reach it`,
    'Name it: --allow-host memory.example.org (may be repeated). Requests by other names are refused.',
  );
}

export class Names {
  private readonly hosts: string[];
  private readonly origins: string[];

  constructor({ host, allowHosts, allowOrigins }: NamesOptions) {
    const own = isEverywhere(host) ? [] : [isIP(host) === 6 ? `[${host}]` : host];
    this.hosts = [...LOOPBACK_NAMES, ...own, ...allowHosts].map(name => name.toLowerCase());
    this.origins = [...LOOPBACK_NAMES, ...allowOrigins].map(name => name.toLowerCase());
  }

  /** @param host the header, of which there may be only one */
  isHost(host: readonly string[] | undefined): boolean {
    return host?.length === 1 && validateHostHeader(host[0], this.hosts).ok;
  }

  /** A request without the header is not from a web page. */
  isOrigin(origin: readonly string[] | undefined): boolean {
    return origin === undefined || (origin.length === 1 && validateOriginHeader(origin[0], this.origins).ok);
  }
}
