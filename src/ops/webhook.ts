/** Posting to a URL that the operator configured, and to nowhere else. */
import { lookup } from 'node:dns';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { CodedError } from '../domain/errors.js';

/**
 * Addresses that no alert goes to: link-local ones, among them the metadata of most clouds (169.254.169.254), those of the
 * others, and what is no address of one machine.
 */
const FORBIDDEN_IPV4 = [
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  // Alibaba Cloud, Azure, Oracle Cloud.
  ['100.100.100.200', 32],
  ['168.63.129.16', 32],
  ['192.0.0.192', 32],
  // Multicast, reserved and broadcast.
  ['224.0.0.0', 3],
] as const;

const FORBIDDEN = new BlockList();
for (const [address, prefix] of FORBIDDEN_IPV4) {
  FORBIDDEN.addSubnet(address, prefix, 'ipv4');
  // The same behind a NAT64 (RFC 6052); mapped ones (::ffff:…) a BlockList knows by itself.
  FORBIDDEN.addSubnet(`64:ff9b::${address}`, 96 + prefix, 'ipv6');
}
// Unspecified and IPv4-compatible, which nobody uses any more; the latter could be any of the above.
FORBIDDEN.addSubnet('::', 96, 'ipv6');
FORBIDDEN.addSubnet('fe80::', 10, 'ipv6');
FORBIDDEN.addSubnet('ff00::', 8, 'ipv6');
// 6to4 of link-local IPv4; AWS and Google Cloud over IPv6.
FORBIDDEN.addSubnet('2002:a9fe::', 32, 'ipv6');
FORBIDDEN.addAddress('fd00:ec2::254', 'ipv6');
FORBIDDEN.addAddress('fd20:ce::254', 'ipv6');

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** @param address an IP address, without brackets or zone */
export function isForbidden(address: string): boolean {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  if (LOOPBACK.check(address, family)) return false;
  return FORBIDDEN.check(address, family);
}

const isLoopback = (address: string): boolean =>
  LOOPBACK.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

export interface WebhookOptions {
  readonly timeoutMs: number;
  /** Aborted when nothing may be waited for any more. */
  readonly ending?: AbortSignal | undefined;
  /** For tests. Default: the machine's resolver. */
  readonly resolve?: typeof lookup;
}

/**
 * Posts a JSON document. The address is looked up once, checked, and is the one that is connected to, so that a name that changes
 * between the two changes nothing. Redirects are not followed.
 * @throws CodedError ALERT_ADDRESS_FORBIDDEN, ALERT_TIMEOUT, ALERT_WEBHOOK_FAILED; none names the URL, whose path may be a secret
 */
export async function postWebhook(href: string, body: string, options: WebhookOptions): Promise<void> {
  const url = new URL(href);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const isPlain = url.protocol === 'http:';
  if (isIP(host) !== 0) assertAllowed(host, isPlain);
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const signal = options.ending === undefined ? timeout : AbortSignal.any([timeout, options.ending]);
  const request = isPlain ? httpRequest : httpsRequest;
  const status = await new Promise<number>((resolve, reject) => {
    const sent = request(
      url,
      {
        method: 'POST',
        headers: {
          'Content-Type': 'application/json',
          'Content-Length': Buffer.byteLength(body),
          'User-Agent': 'mcp-vector-server',
        },
        lookup: checkedLookup(options.resolve ?? lookup, isPlain),
        // Its own connection: nothing is kept open between two alerts.
        agent: false,
        signal,
      },
      response => {
        // What it says is nobody's business: not read, so that it cannot be endless either.
        response.destroy();
        resolve(response.statusCode ?? 0);
      },
    );
    sent.once('error', reject);
    sent.end(body);
  }).catch((error: unknown) => {
    throw timeout.aborted ? timedOut(options.timeoutMs) : failed(error);
  });
  if (status >= 200 && status < 300) return;
  throw new CodedError(
    'ALERT_WEBHOOK_FAILED',
    status >= 300 && status < 400
      ? `the webhook answered with a redirect (${status}), which is not followed`
      : `the webhook answered ${status}`,
    'Look whether VECTOR_ALERT_WEBHOOK is the very URL that takes alerts. It is tried again at the next sample.',
    { details: { status } },
  );
}

/** A lookup that passes on no address that may not be asked. */
function checkedLookup(resolve: typeof lookup, isPlain: boolean): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) {
        callback(error, []);
        return;
      }
      try {
        for (const { address } of addresses) assertAllowed(address, isPlain);
      } catch (refusal) {
        callback(refusal as Error, []);
        return;
      }
      const [first] = addresses;
      if (options.all) callback(null, addresses);
      else if (first !== undefined) callback(null, first.address, first.family);
      else callback(new Error('no address'), []);
    });
  };
}

function assertAllowed(address: string, isPlain: boolean): void {
  if (isForbidden(address))
    throw forbidden(
      'the webhook’s host is a link-local address, one of a cloud’s metadata, or none of one machine',
    );
  if (isPlain && !isLoopback(address))
    throw forbidden('the webhook’s host is another machine, and http:// would send alerts there in the open');
}

const forbidden = (what: string) =>
  new CodedError(
    'ALERT_ADDRESS_FORBIDDEN',
    `${what}; nothing was sent`,
    'Set VECTOR_ALERT_WEBHOOK to the https:// URL of a service that takes alerts.',
  );

const timedOut = (ms: number) =>
  new CodedError(
    'ALERT_TIMEOUT',
    `the webhook did not answer within ${ms} ms`,
    'Look whether the service is there. It is tried again at the next sample.',
  );

function failed(error: unknown): CodedError {
  if (error instanceof CodedError) return error;
  // The text of the error would name host and port.
  const { code = 'without a code' } = error as NodeJS.ErrnoException;
  return new CodedError(
    'ALERT_WEBHOOK_FAILED',
    `the webhook was not reached: ${code}`,
    'Look whether VECTOR_ALERT_WEBHOOK is right and its host can be reached. It is tried again at the next sample.',
  );
}
