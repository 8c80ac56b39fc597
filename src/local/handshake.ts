/**
 * Both sides prove that they can read the store's token, and neither sends it:
 *
 *   client  hello      {protocol, version, nonce}
 *   owner   challenge  {protocol, version, nonce, proof}
 *   client  proof      {proof, terms}
 *   owner   welcome    {}
 *
 * or at any point  owner  refused {error}, and the connection is closed.
 *
 * A proof is HMAC-SHA256 (RFC 2104) under the token over the side's role, the store's path and both nonces. The role keeps a
 * proof from being sent back to its maker, the nonces keep it from being used twice, and the path keeps a copy of a store
 * directory from passing for the store.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Terms } from '../config.js';
import { CodedError } from '../domain/errors.js';
import { VERSION } from '../version.js';
import { BadFrame, isObject, type Message } from './frames.js';

/** Raised with every change to what goes over the socket. */
export const PROTOCOL = 5;

const NONCE_BYTES = 32;
/** A nonce and a proof both: 32 bytes as hex. */
const HEX_32 = /^[0-9a-f]{64}$/;

export type Role = 'owner' | 'client';

/** What both sides know once their nonces have been exchanged. */
export interface Transcript {
  /** 64 hex digits, see SocketNote. */
  readonly token: string;
  /** Real path of the store, as each side finds it by itself. */
  readonly storePath: string;
  readonly clientNonce: string;
  readonly ownerNonce: string;
}

export const newNonce = (): string => randomBytes(NONCE_BYTES).toString('hex');

export const isNonce = (value: unknown): value is string => typeof value === 'string' && HEX_32.test(value);

/** The proof of one side, 64 hex digits. */
export function proofOf(role: Role, { token, storePath, clientNonce, ownerNonce }: Transcript): string {
  return (
    createHmac('sha256', Buffer.from(token, 'hex'))
      // JSON of an array of strings: no two transcripts have the same bytes.
      .update(JSON.stringify(['mcp-vector-server', PROTOCOL, role, storePath, clientNonce, ownerNonce]))
      .digest('hex')
  );
}

/** Whether `proof`, which may be anything, is that of `role`. Takes the same time for every wrong one. */
export function isProofOf(role: Role, transcript: Transcript, proof: unknown): boolean {
  if (typeof proof !== 'string' || !HEX_32.test(proof)) return false;
  return timingSafeEqual(Buffer.from(proof, 'hex'), Buffer.from(proofOf(role, transcript), 'hex'));
}

/** The fields by which each side says what it is. */
export const OWN_VERSION = { protocol: PROTOCOL, version: VERSION };

/**
 * @param peer the hello or challenge of the other side
 * @throws CodedError OWNER_VERSION_MISMATCH, naming both versions
 */
export function assertSameVersion(peer: Message, peerRole: Role): void {
  const { protocol, version } = peer;
  if (protocol === PROTOCOL && version === VERSION) return;
  const theirs = describeVersion(version, protocol);
  const ours = describeVersion(VERSION, PROTOCOL);
  const [owner, client] = peerRole === 'owner' ? [theirs, ours] : [ours, theirs];
  throw new CodedError(
    'OWNER_VERSION_MISMATCH',
    `the server that has the store is version ${owner}, this command is version ${client}`,
    'Restart that server (the client that started it does so when it is restarted), or run the command in its version.',
    { details: { owner, client } },
  );
}

/**
 * @param asked what the client was configured with; none where it takes the owner's as it is, as a command does
 * @throws CodedError CONFIG_MISMATCH naming each variable and both values; BadFrame
 */
export function assertSameTerms(asked: unknown, own: Terms): void {
  if (asked === undefined) return;
  if (!isObject(asked)) throw new BadFrame('terms that are no object');
  const differing = Object.keys(own).filter(name => asked[name] !== own[name]);
  if (differing.length === 0) return;
  const described = differing.map(
    name =>
      `${name} is ${quoted(asked[name])} here and ${quoted(own[name])} in process ${process.pid}, which has the store`,
  );
  throw new CodedError(
    'CONFIG_MISMATCH',
    described.join('; '),
    'Give all clients that share a store the same settings (or none), then restart them; or give this one a store of its own: VECTOR_DB_PATH.',
    { details: { variables: differing } },
  );
}

const MAX_QUOTED = 100;
const quoted = (value: unknown) =>
  value === '' || typeof value !== 'string' ? 'not set' : JSON.stringify(value.slice(0, MAX_QUOTED));

/** What the other side says of itself is shown to people: only what looks like a version is repeated. */
function describeVersion(version: unknown, protocol: unknown): string {
  const name = typeof version === 'string' && /^[\w.+-]{1,64}$/.test(version) ? version : 'unknown';
  return `${name} (protocol ${Number.isSafeInteger(protocol) ? protocol : 'unknown'})`;
}

/** The refusal of a peer without the token, the same on both sides. */
export function unproved(what: string): CodedError {
  return new CodedError(
    'OWNER_AUTH_FAILED',
    what,
    'Run the command as the user whose server has the store, on the same machine and for the same directory; if it stays, restart that server.',
  );
}
