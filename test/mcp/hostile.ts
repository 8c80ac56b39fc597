/**
 * What a broken or hostile client might write: seeded lines for the stdin of any MCP server, and a run that feeds them
 * to one and watches what comes back.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** mulberry32 (Tommy Ettinger, public domain): small, seeded, good enough to choose what to break. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface HostileOptions {
  /** The command line of a server that speaks MCP on stdio. */
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** The server's working directory; ingest calls among the lines may read it. Default: this process' own. */
  readonly cwd?: string;
  /** Lines to send. Default: 10 000. */
  readonly count?: number;
  /** Default: 1. */
  readonly seed?: number;
  /** Lines beyond the server's limit among them; each is about 11 MB. Default: 3. */
  readonly oversized?: number;
}

export interface HostileReport {
  readonly seed: number;
  readonly sent: number;
  /** Lines on stdout, all of them JSON-RPC. */
  readonly received: number;
  /** Lines on stdout that were no JSON-RPC message: must be empty. */
  readonly strangeLines: readonly string[];
  /** Error answers by their code. */
  readonly errors: { readonly [code: string]: number };
  /** Tool answers that admit a defect (INTERNAL): must be empty. */
  readonly defects: readonly string[];
  /** True if the server still answered a plain tools/list after everything. */
  readonly isAlive: boolean;
  /** The exit code after its stdin was closed; null where a signal ended it. */
  readonly exitCode: number | null;
}

const INITIALIZE = {
  jsonrpc: '2.0',
  id: 'initialize',
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'hostile', version: '0' } },
};
const LAST = { jsonrpc: '2.0', id: 'are you there', method: 'tools/list', params: {} };

/** Sends `count` hostile lines to a fresh server, then asks it for its tools and closes its stdin. */
export async function attack(options: HostileOptions): Promise<HostileReport> {
  const { seed = 1, count = 10_000, oversized = 3 } = options;
  const child = spawn(options.command, options.args, {
    env: options.env ?? process.env,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const strangeLines: string[] = [];
  const defects: string[] = [];
  const errors: Record<string, number> = {};
  let received = 0;
  const lines = createInterface({ input: child.stdout! });
  const answered = new Promise<boolean>(resolve => {
    lines.on('line', line => {
      const message = jsonRpc(line);
      if (message === undefined) strangeLines.push(line.slice(0, 200));
      else received++;
      if (message?.error !== undefined) errors[message.error.code] = (errors[message.error.code] ?? 0) + 1;
      const text = message?.result?.content?.[0]?.text ?? message?.error?.message;
      if (text?.startsWith('INTERNAL') === true) defects.push(`${message!.id}: ${text.slice(0, 200)}`);
      if (message?.id === LAST.id) resolve(true);
    });
    lines.on('close', () => resolve(false));
  });

  // A server that dies closes the pipe; its exit code says more than the EPIPE here.
  child.stdin!.on('error', () => {});
  await write(child, line(INITIALIZE), exited);
  const random = randomOf(seed);
  const oversizedAt = new Set(
    Array.from({ length: oversized }, (_, i) => Math.floor(((i + 0.5) * count) / oversized)),
  );
  for (let i = 0; i < count && child.exitCode === null; i++) {
    await write(child, oversizedAt.has(i) ? oversizedLine(i) : hostileLine(random, i), exited);
  }
  await write(child, line(LAST), exited);
  const isAlive = await answered;
  child.stdin!.end();
  const [exitCode] = await exited;
  return { seed, sent: count, received, strangeLines, defects, errors, isAlive, exitCode };
}

/** Waits for room where the pipe is full, unless the server is gone. */
async function write(child: ChildProcess, bytes: Buffer, exited: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.stdin!.destroyed) return;
  if (!child.stdin!.write(bytes)) await Promise.race([once(child.stdin!, 'drain'), exited]);
}

const line = (message: unknown) => Buffer.from(`${JSON.stringify(message)}\n`);

interface Incoming {
  readonly id?: unknown;
  readonly error?: { readonly code: number; readonly message: string };
  readonly result?: { readonly content?: readonly { readonly text?: string }[] };
}

/** The message in a line of stdout, or undefined if it is no JSON-RPC. */
function jsonRpc(text: string): Incoming | undefined {
  try {
    const message = JSON.parse(text);
    const isAnswer = 'result' in message !== 'error' in message && 'id' in message;
    const isError = message.error !== undefined;
    if (message.jsonrpc !== '2.0' || !(isAnswer || typeof message.method === 'string')) return undefined;
    if (isError && !(Number.isInteger(message.error.code) && typeof message.error.message === 'string'))
      return undefined;
    return message;
  } catch {
    return undefined;
  }
}

function oversizedLine(id: number): Buffer {
  const text = 'x'.repeat(11 * 1024 * 1024);
  return line({
    method: 'tools/call',
    params: { name: 'vector_upsert', arguments: { items: [{ text }] } },
    jsonrpc: '2.0',
    id,
  });
}

const TOOLS = [
  'upsert',
  'search',
  'get',
  'delete',
  'list',
  'ingest',
  'history',
  'diff',
  'revert',
  'mark',
  'status',
  'serch',
  '__proto__',
].map(name => `vector_${name}`);
const METHODS = [
  'tools/call',
  'tools/list',
  'ping',
  'initialize',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'resources/subscribe',
  'prompts/list',
  'prompts/get',
  'completion/complete',
  'notifications/cancelled',
  'logging/setLevel',
  'nope',
  '',
  '__proto__',
  'server/discover',
  'subscriptions/listen',
];
const KEYS = [
  'items',
  'query',
  'ids',
  'where',
  'paths',
  'collection',
  'k',
  'cursor',
  'vector',
  'metadata',
  'text',
  'id',
  'since',
  'as_of',
  'to',
  'seqs',
  'name',
  '__proto__',
  'constructor',
  'toString',
  '',
];

/** One line, ended by its newline, that is wrong in one of many ways (or, now and then, right). */
export function hostileLine(random: () => number, id: number): Buffer {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const chance = (share: number) => random() < share;

  const scalar = () =>
    pick<unknown>([
      null,
      true,
      -1,
      0,
      1e308,
      -0.5,
      2 ** 53 + 2,
      '',
      ' ',
      '\u0000',
      '\ud800',
      '../../etc/passwd',
      '5',
      '{"a":',
      '[]',
      'x'.repeat(5000),
      '💥',
      '$where',
      '__proto__',
    ]);
  const value = (depth: number): unknown => {
    if (depth === 0 || chance(0.5)) return scalar();
    if (chance(0.4)) return Array.from({ length: Math.floor(random() * 4) }, () => value(depth - 1));
    // Own properties whatever their name, as JSON.parse makes them.
    const entries = Array.from({ length: Math.floor(random() * 4) }, () => [pick(KEYS), value(depth - 1)]);
    return Object.fromEntries(entries);
  };
  const request = (): Record<string, unknown> => ({
    jsonrpc: '2.0',
    id,
    method: chance(0.7) ? 'tools/call' : pick(METHODS),
    params: { name: pick(TOOLS), arguments: value(4), ...(chance(0.2) ? { _meta: value(3) } : {}) },
  });
  // Shaped as the tools want it, with awkward values: what gets past the schemas to the store.
  const string = () => String(scalar());
  const moment = () =>
    pick([
      String(Math.floor(random() * id)),
      `before ${id}`,
      'now',
      'current',
      '1 hour ago',
      'here',
      string(),
    ]);
  const metadata = () => Object.fromEntries([[pick(KEYS), scalar()]]);
  const wellShaped = (): Buffer => {
    const [name, args] = pick<[string, object]>([
      ['upsert', { items: [{ id: string(), text: string(), metadata: metadata() }] }],
      ['upsert', { items: [{ text: `${string()} ${id}` }, { id: string(), metadata: metadata() }] }],
      ['upsert', { collection: string(), items: [{ id: string(), vector: [random(), random() - 1] }] }],
      ['search', { query: string(), mode: pick(['hybrid', 'semantic', 'keyword']), where: metadata() }],
      ['search', { vector: [random(), -1, 0], since: string(), until: string(), min_score: random() }],
      ['get', { ids: [string(), string()], collection: pick(['default', string()]) }],
      ['list', { where: { [pick(KEYS)]: { [pick(['$gt', '$in', '$not', '$or'])]: scalar() } }, limit: 3 }],
      ['list', { cursor: Buffer.from(JSON.stringify([1, id, -id, scalar()])).toString('base64url') }],
      ['delete', chance(0.5) ? { ids: [string()] } : { where: metadata() }],
      ['ingest', { paths: [string()], include: [string()], prune_over_half: chance(0.5) }],
      ['status', chance(0.5) ? {} : { as_of: moment() }],
      ['search', { query: string(), as_of: moment(), k: 3 }],
      ['list', { as_of: moment(), limit: 3 }],
      ['history', { [pick(['id', 'session', 'actor', 'since', 'until', 'project'])]: moment(), limit: 3 }],
      ['history', { cursor: Buffer.from(JSON.stringify([id, -id, 1, scalar()])).toString('base64url') }],
      ['diff', { from: moment(), ...(chance(0.5) ? { to: moment() } : { where: metadata() }), limit: 3 }],
      ['revert', { [pick(['to', 'since', 'until', 'session'])]: moment(), dry_run: chance(0.7) }],
      ['revert', { ids: [string()], seqs: chance(0.3) ? [id, -1] : undefined, plan: string() }],
      ['mark', { name: pick(['here', string(), `m${id}`]), note: string() }],
    ]);
    const params = { name: `vector_${name}`, arguments: args };
    return Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params }));
  };
  const aside = (): Buffer => {
    const uri = () =>
      `vector://${encodeURIComponent(pick(['default', 'x', '']))}${pick(['', '/', '/a', '/a%2', '/history', '?as_of=1', `?as_of=${moment()}`, '#'])}`;
    const [method, params] = pick<[string, object]>([
      ['resources/read', { uri: chance(0.8) ? uri() : value(1) }],
      [
        'prompts/get',
        { name: 'what-changed-since', arguments: { moment: chance(0.8) ? moment() : value(1) } },
      ],
      ['prompts/get', { name: string(), arguments: value(2) }],
      ['prompts/get', { name: 'take-back', arguments: value(2) }],
    ]);
    return Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
  };
  const broken = (): Record<string, unknown> => {
    const message = request();
    message[pick(['jsonrpc', 'id', 'method', 'params', 'result', 'error', '__proto__'])] = value(2);
    return message;
  };
  const bytes = (): Buffer => Buffer.from(JSON.stringify(request()));

  const makers: (() => Buffer)[] = [
    bytes,
    bytes,
    bytes,
    wellShaped,
    wellShaped,
    aside,
    () => Buffer.from(JSON.stringify(broken())),
    () => Buffer.from(JSON.stringify(broken())),
    () => Buffer.from(JSON.stringify([request(), broken()])),
    () => Buffer.from(JSON.stringify(value(3))),
    // Cut off.
    () => {
      const whole = bytes();
      return whole.subarray(0, Math.floor(random() * whole.length));
    },
    // One byte flipped: often invalid UTF-8, sometimes other JSON.
    () => {
      const flipped = bytes();
      const at = Math.floor(random() * flipped.length);
      flipped[at] = flipped[at]! ^ (1 << Math.floor(random() * 8));
      return flipped;
    },
    // Noise, NULs and control characters among it.
    () => Buffer.from(Array.from({ length: Math.floor(random() * 200) }, () => Math.floor(random() * 256))),
    // Deep nesting, closed or not, in the arguments or instead of them.
    () => {
      const depth = Math.floor(random() * 20_000);
      const deep = '['.repeat(depth) + (chance(0.5) ? ']'.repeat(depth) : '');
      return Buffer.from(
        `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${pick(TOOLS)}","arguments":{"where":{"a":${deep}}}}}`,
      );
    },
    // Numbers that no double holds, and keys twice.
    () =>
      Buffer.from(
        `{"jsonrpc":"2.0","id":${pick(['1e999', '-0', '1.5', '99999999999999999999', '"\\u0000"'])},"method":"${pick(METHODS)}","params":{"k":1e999,"k":1}}`,
      ),
    // Answers to nothing that was asked.
    () => Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, result: value(2) })),
    () => Buffer.from('\r'),
  ];
  const made = pick(makers)();
  // A newline inside would only make two lines of it.
  return Buffer.concat([made.map(byte => (byte === 0x0a ? 0x20 : byte)), Buffer.from('\n')]);
}
