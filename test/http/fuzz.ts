/**
 * Hostile requests by the thousand at `serve` as it ships: broken HTTP, broken heads, broken messages, with every kind of token. The
 * server lives, answers each with what is no defect, gives nothing away, and lets nobody write who may not.
 */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { HttpProcess } from '../helpers/http-process.js';
import { runVerify } from '../helpers/mcp-process.js';
import { hostileLine, randomOf } from '../mcp/hostile.js';

/** Requests under way at once. */
const LANES = 8;
const ALIVE_EVERY = 100;
/** Far beyond what any request takes whose connection is half closed. */
const HANG_MS = 20_000;
/** `--max-body`. */
const MAX_BODY_MIB = 1;

const REQUESTS = ['wire', 'head', 'message'] as const;
/** `probe` looks on, and takes no part. */
type TokenKind = 'none' | 'wrong' | 'read' | 'write' | 'probe';
/** Tokens of the first half of the requests, which write nothing, and of the second; as often as they stand here. */
const READERS: readonly TokenKind[] = ['none', 'wrong', 'read', 'read', 'read', 'read'];
const ALL: readonly TokenKind[] = [...READERS, 'write', 'write', 'write', 'write', 'write', 'write'];

export interface FuzzOptions {
  /** An empty directory for the store. */
  readonly dir: string;
  readonly count: number;
  readonly seed: number;
  readonly onProgress?: (done: number) => void;
}

export interface FuzzReport {
  readonly seed: number;
  sent: number;
  /** Answers by status; 0: the connection was closed without one. */
  readonly statuses: Record<string, number>;
  /** Codes of refusals and of tools' errors. */
  readonly codes: Record<string, number>;
  /** Resident memory of the server, MB: after the first tenth of the requests, and after the last one. */
  rssMb: readonly [warm: number, end: number];
  /** Events that the requests wrote. */
  written: number;
  readonly faults: string[];
}

export async function fuzzHttp({ dir, count, seed, onProgress }: FuzzOptions): Promise<FuzzReport> {
  const report: FuzzReport = {
    seed,
    sent: 0,
    statuses: {},
    codes: {},
    rssMb: [0, 0],
    written: 0,
    faults: [],
  };
  const server = await HttpProcess.start(join(dir, 'store'), {
    args: ['--rate', '0', '--max-body', String(MAX_BODY_MIB)],
  });
  const fuzzer = new Fuzzer(server, seed, report);
  try {
    await fuzzer.begin();
    let next = 0;
    const lane = async () => {
      while (next < count && !fuzzer.isDead) {
        const at = next++;
        await fuzzer.one(at, at < count / 2 ? READERS : ALL);
        report.sent++;
        if (at === Math.floor(count / 2)) await fuzzer.expectUnwritten();
        if (at === Math.floor(count / 10)) report.rssMb = [rssMb(server.pid), 0];
        if (at % ALIVE_EVERY === 0) await fuzzer.expectAlive(`request ${at}`);
        onProgress?.(report.sent);
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    await fuzzer.expectAlive('the end');
    report.rssMb = [report.rssMb[0], rssMb(server.pid)];
    report.written = (await fuzzer.headSeq()) - fuzzer.firstSeq;
  } finally {
    const code = await server.stop();
    if (code !== 0) report.faults.push(`the server ended with ${code}: ${server.log.slice(-500)}`);
  }
  const errors = server.log.split('\n').filter(line => /"level":(50|60)/.test(line));
  if (errors.length > 0)
    report.faults.push(`the log has ${errors.length} errors, as ${errors[0]!.slice(0, 2000)}`);
  const verified = runVerify(server.store);
  if (verified.code !== 0) report.faults.push(`verify: exit ${verified.code}\n${verified.said}`);
  return report;
}

class Fuzzer {
  firstSeq = 0;
  isDead = false;
  /** Of the request that is being made. */
  private random!: () => number;
  private readonly tokens: Record<TokenKind, string>;
  private readonly sessions: Record<TokenKind, string> = {
    none: 'x',
    wrong: 'x',
    read: '',
    write: '',
    probe: '',
  };

  constructor(
    private readonly server: HttpProcess,
    private readonly seed: number,
    private readonly report: FuzzReport,
  ) {
    const write = server.token('writer', 'write');
    const [read, probe] = [server.token('reader', 'read'), server.token('probe')];
    this.tokens = { none: '', wrong: `${write.slice(0, -1)}!`, read, write, probe };
    void server.exited.then(() => {
      this.isDead = true;
    });
  }

  /** Something to find, and a session of each token that has one. */
  async begin(): Promise<void> {
    for (const kind of ['probe', 'read', 'write'] as const) await this.beginSession(kind);
    const response = await this.call('vector_upsert', {
      items: [{ id: 'kept', text: 'what was here before' }],
    });
    if (!response.includes('"seq"')) throw new Error(`the first write failed: ${response}`);
    this.firstSeq = await this.headSeq();
  }

  private async beginSession(kind: TokenKind): Promise<void> {
    const params = {
      protocolVersion: '2025-06-18',
      capabilities: {},
      clientInfo: { name: 'fuzz', version: '1' },
    };
    this.sessions[kind] = '';
    const response = await this.post(kind, { jsonrpc: '2.0', id: 1, method: 'initialize', params });
    await response.text();
    this.sessions[kind] = response.headers.get('mcp-session-id')!;
  }

  async one(at: number, tokens: readonly TokenKind[]): Promise<void> {
    // The lanes come in any order: each request has its own, so that a seed makes the same ones.
    this.random = randomOf(this.seed + Math.imul(at, 0x9e3779b1));
    const token = this.pick(tokens);
    const bytes = this.request(this.pick(REQUESTS), token, at);
    // Wrong tokens are slowed down by address; of those of the loopback network Linux takes any.
    const localAddress = process.platform === 'linux' ? `127.0.0.${1 + (at % 250)}` : '127.0.0.1';
    const { status, text, isLate } = await exchange({ port: this.server.port, localAddress }, bytes);
    const { statuses, codes, faults } = this.report;
    statuses[status] = (statuses[status] ?? 0) + 1;
    const code = /"code":"([A-Z_]+)"/.exec(text)?.[1] ?? /"text":"([A-Z][A-Z_]+): /.exec(text)?.[1];
    if (code !== undefined) codes[code] = (codes[code] ?? 0) + 1;
    const fault = (what: string) =>
      faults.push(
        `request ${at}: ${what}\n${bytes.toString('latin1').slice(0, 400)}\n→ ${text.slice(0, 400)}`,
      );
    if (isLate) fault('no answer, and no end');
    if (status >= 500) fault(`status ${status}`);
    if (code === 'INTERNAL') fault('a defect');
    if (Object.values(this.tokens).some(secret => secret !== '' && text.includes(secret)))
      fault('the answer has a token');
    const isGiven = /^HTTP\/1\.1 2\d\d /m.test(text) && /"(result|error)":/.test(text);
    // The wrong one may have become right, or another's, by the byte that was altered.
    if (isGiven && token === 'none') fault('it was answered without a token');
  }

  async expectAlive(when: string): Promise<void> {
    if (this.isDead) return;
    const answer = await this.call('vector_get', { ids: ['kept'] });
    // Those who may write may well have altered it.
    if (!answer.includes('"result"')) this.report.faults.push(`after ${when}: ${answer.slice(0, 400)}`);
    // A DELETE that was not spoiled enough ends one.
    for (const kind of ['read', 'write'] as const) await this.beginSession(kind);
  }

  async expectUnwritten(): Promise<void> {
    const seq = await this.headSeq();
    // Writers may have begun in another lane.
    if (seq > this.firstSeq + LANES * 20)
      this.report.faults.push(`${seq - this.firstSeq} events were written by those who may not`);
  }

  async headSeq(): Promise<number> {
    const answer = await this.call('vector_status', {});
    return Number(/"head":\{"seq":(\d+)/.exec(answer)?.[1]);
  }

  private async call(name: string, args: object): Promise<string> {
    const params = { name, arguments: args };
    const response = await this.post('probe', { jsonrpc: '2.0', id: 2, method: 'tools/call', params });
    return response.text();
  }

  private post(token: TokenKind, message: object): Promise<Response> {
    return fetch(`${this.server.url}/mcp`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${this.tokens[token]}`,
        'Content-Type': 'application/json',
        Accept: 'application/json, text/event-stream',
        ...(this.sessions[token] !== '' && { 'Mcp-Session-Id': this.sessions[token] }),
      },
      body: JSON.stringify(message),
    });
  }

  private request(kind: (typeof REQUESTS)[number], token: TokenKind, at: number): Buffer {
    const body = kind === 'message' ? hostileLine(this.random, at) : this.callLine(at);
    const era = this.chance(0.8)
      ? [`Mcp-Session-Id: ${this.sessions[token]}`]
      : ['MCP-Protocol-Version: 2026-07-28', 'Mcp-Method: tools/call'];
    const lines = [
      'POST /mcp HTTP/1.1',
      'Host: localhost',
      'Content-Type: application/json',
      'Accept: application/json, text/event-stream',
      ...(token === 'none' ? [] : [`Authorization: Bearer ${this.tokens[token]}`]),
      ...era,
      `Content-Length: ${body.length}`,
    ];
    if (kind === 'head') this.spoil(lines);
    const bytes = Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), body]);
    return kind === 'wire' ? this.mutate(bytes) : bytes;
  }

  /** A call of a tool as such, whatever its arguments, or a write that would be taken: what is spoiled is around it. */
  private callLine(at: number): Buffer {
    if (this.chance(0.5)) {
      const params = {
        name: 'vector_upsert',
        arguments: { items: [{ id: `fuzz-${at}`, text: `text ${at}` }] },
      };
      return Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: at, method: 'tools/call', params }));
    }
    for (;;) {
      const line = hostileLine(this.random, at);
      if (/^\{"jsonrpc":"2\.0","id":\d+,"method":"tools\/call","params":\{.*\}\}\n$/.test(line.toString()))
        return line;
    }
  }

  /** Up to three lines of a head made wrong, doubled, or added. */
  private spoil(lines: string[]): void {
    for (let times = Math.floor(this.random() * 4); times > 0; times--) {
      const at = 1 + Math.floor(this.random() * (lines.length - 1));
      const name = lines[at]?.split(':', 1)[0] ?? 'X-Fuzz';
      switch (Math.floor(this.random() * 5)) {
        case 0:
          lines[0] = `${this.pick(VERBS)} ${this.pick(PATHS)} HTTP/${this.pick(['1.1', '1.1', '1.0', '0.9', '2.0', '9'])}`;
          break;
        case 1:
          lines[at] = `${name}: ${this.pick(VALUES)}`;
          break;
        case 2:
          lines.push(lines[at] ?? 'X-Fuzz: 1');
          break;
        case 3:
          lines.splice(at, 1);
          break;
        default:
          lines.push(`${this.pick(NAMES)}: ${this.pick(VALUES)}`);
      }
    }
  }

  /** Up to four places where bytes are altered, left out, doubled, put in, or cut off. */
  private mutate(bytes: Buffer): Buffer {
    let mutated = Buffer.from(bytes);
    for (let times = Math.floor(this.random() * 5); times > 0 && mutated.length > 0; times--) {
      // Most of it where the head is: a body has its own campaign.
      const reach = this.chance(0.7) ? Math.min(mutated.length, 400) : mutated.length;
      const at = Math.floor(this.random() * reach);
      const length = 1 + Math.floor(this.random() * 8);
      const [before, rest] = [mutated.subarray(0, at), mutated.subarray(at)];
      switch (Math.floor(this.random() * 5)) {
        case 0:
          mutated[at] = mutated[at]! ^ (1 << Math.floor(this.random() * 8));
          break;
        case 1:
          mutated = Buffer.concat([before, rest.subarray(length)]);
          break;
        case 2:
          mutated = Buffer.concat([before, rest.subarray(0, length), rest]);
          break;
        case 3: {
          const noise = Array.from({ length }, () => Math.floor(this.random() * 256));
          mutated = Buffer.concat([before, Buffer.from(noise), rest]);
          break;
        }
        default:
          mutated = Buffer.from(before);
      }
    }
    return mutated;
  }

  private pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.random() * list.length)]!;
  }

  private chance(share: number): boolean {
    return this.random() < share;
  }
}

const VERBS = ['GET', 'HEAD', 'DELETE', 'PUT', 'OPTIONS', 'TRACE', 'PATCH', 'POST', 'post', 'G ET', 'PRI'];
const PATHS = [
  '/mcp',
  '/health',
  '/ready',
  '/metrics',
  '/',
  '/page.js',
  '/api/me',
  '/api/login',
  '/api/revert',
  '/api/../mcp',
  '//mcp',
  '/mcp/../metrics',
  '/%2e%2e/tokens',
  '*',
  'http://evil.example/mcp',
  `/${'a'.repeat(9000)}`,
  '/mcp?x=1',
  '/\u0000',
];
const NAMES = [
  'Authorization',
  'Host',
  'Origin',
  'Content-Length',
  'Transfer-Encoding',
  'Content-Type',
  'Content-Encoding',
  'Expect',
  'Connection',
  'Upgrade',
  'Accept',
  'Mcp-Session-Id',
  'MCP-Protocol-Version',
  'Mcp-Method',
  'Mcp-Name',
  'Last-Event-ID',
  'X-Time-Zone',
  'X-Mcp-Vector-Page',
  'Cookie',
  'Sec-Fetch-Site',
  'X-Request-Id',
  'Te',
  '__proto__',
  'Constructor',
];
const VALUES = [
  '',
  '0',
  '-1',
  '5',
  '99999999999999999999',
  '1e3',
  '0x10',
  'chunked',
  'chunked, gzip',
  'identity',
  'gzip',
  '100-continue',
  'close',
  'keep-alive, Upgrade',
  'websocket',
  'h2c',
  '*/*',
  'text/event-stream',
  'application/json',
  'application/json; charset=utf-16',
  'text/plain',
  'evil.example',
  'http://evil.example',
  'null',
  'localhost:99999',
  '127.0.0.1',
  '2024-11-05',
  '2025-11-25',
  '2026-07-28',
  '9999-99-99',
  '__proto__',
  '../../etc/passwd',
  'Europe/Nowhere',
  'same-origin',
  'cross-site',
  'mcp-vector-page=x',
  'tools/call',
  'vector_search',
  'x'.repeat(6000),
  '\u00e9\u00ff',
  'a\tb',
  'Bearer',
  'Bearer x y',
  'Basic YTpi',
];

/** Sends bytes, says that there are no more, and takes what comes until the other side ends. */
function exchange(
  { port, localAddress }: { port: number; localAddress: string },
  bytes: Buffer,
): Promise<{ status: number; text: string; isLate: boolean }> {
  return new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1', localAddress });
    const chunks: Buffer[] = [];
    let isLate = false;
    let quiet: NodeJS.Timeout | undefined;
    const late = setTimeout(() => {
      isLate = true;
      socket.destroy();
    }, HANG_MS);
    socket.on('connect', () => socket.write(bytes));
    socket.on('data', chunk => {
      chunks.push(chunk);
      // An event stream has no end of its own, and a connection is kept open.
      clearTimeout(quiet);
      quiet = setTimeout(() => socket.end(), 50);
    });
    // Whoever waits for the rest of a request that never comes is told so.
    const rest = setTimeout(() => socket.end(), 250);
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(late);
      clearTimeout(quiet);
      clearTimeout(rest);
      const text = Buffer.concat(chunks).toString('latin1');
      // Leave to go on is no answer yet.
      const [, status] = /^HTTP\/1\.1 ([2-5]\d\d) /m.exec(text) ?? [];
      resolve({ status: Number(status ?? 0), text, isLate });
    });
  });
}

/** Linux' own count. 0 elsewhere. */
function rssMb(pid: number): number {
  if (process.platform !== 'linux') return 0;
  const [, kb] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Math.round(Number(kb) / 1024);
}

/** What a run prints. */
export function describeFuzz({
  seed,
  sent,
  statuses,
  codes,
  rssMb: [warm, end],
  written,
  faults,
}: FuzzReport): string {
  const list = (counts: Record<string, number>) =>
    Object.entries(counts)
      .toSorted(([, a], [, b]) => b - a)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ');
  return [
    `seed      ${seed}`,
    `sent      ${sent}`,
    `statuses  ${list(statuses)}`,
    `codes     ${list(codes)}`,
    `memory    ${warm} MB after a tenth, ${end} MB at the end`,
    `written   ${written} events`,
    `faults    ${faults.length}`,
    ...faults.slice(0, 20).map(fault => `FAULT ${fault}`),
  ].join('\n');
}
