/** What goes on beside the clients: the page, scrapers, commands of the terminal, windows that come and go. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { GetAnswer, UpsertAnswer } from '#src/domain/face.js';
import { createLogin } from '#src/http/page/login.js';
import { runCli } from '../helpers/run-cli.js';
import { type Connect, MAIN } from './clients.js';
import { NOTES } from './own-data.js';
import type { SoakPaths, SoakPlan } from './plan.js';
import type { Server } from './server.js';
import type { Tally } from './tally.js';

export interface BesideOptions {
  readonly server: Server;
  readonly plan: SoakPlan;
  readonly paths: SoakPaths;
  readonly env: Record<string, string>;
  readonly tally: Tally;
  readonly visitor: Connect;
  readonly isOver: () => boolean;
}

const NAP_MS = 250;
const SHOWN_CHARS = 300;

/** Does something every so often until it is over; what goes wrong is a failure. */
export async function again(
  what: string,
  everyMs: number,
  { tally, isOver }: Pick<BesideOptions, 'tally' | 'isOver'>,
  does: () => Promise<unknown>,
): Promise<void> {
  let nextMs = performance.now();
  while (!isOver()) {
    if (performance.now() < nextMs) {
      await sleep(Math.min(NAP_MS, nextMs - performance.now()));
      continue;
    }
    nextMs = Math.max(nextMs + everyMs, performance.now());
    try {
      await does();
      tally.count(what);
    } catch (error) {
      tally.fail(`${what}: ${(error as Error).message}`);
    }
  }
}

/** A browser's calls; now and then it logs out, and in again. */
class PageVisitor {
  private cookie: string | undefined;
  private calls = 0;
  private static readonly CALLS_OF_A_SESSION = 60;

  constructor(private readonly server: Server) {}

  async look(): Promise<void> {
    if (this.cookie === undefined) await this.logIn();
    const file = await fetch(this.server.url + ['/', '/page.js', '/page.css'][this.calls % 3]!);
    await file.arrayBuffer();
    if (!file.ok) throw new Error(`a file of the page: ${file.status}`);
    await this.call('status', {});
    await this.call('activity', { steps: 100 });
    await this.call('search', { query: 'harbour lantern', k: 10 });
    await this.call('list', { collection: NOTES, limit: 25 });
    await this.call('history', { collection: NOTES, limit: 25 });
    if (++this.calls % PageVisitor.CALLS_OF_A_SESSION !== 0) return;
    await this.call('logout', {});
    this.cookie = undefined;
  }

  private async logIn(): Promise<void> {
    const { code } = createLogin(this.server.tokensDir, 'read');
    const { headers } = await this.call('login', { code });
    this.cookie = headers.get('set-cookie')!.split(';')[0]!;
  }

  private async call(name: string, body: object): Promise<Response> {
    const headers = {
      'Content-Type': 'application/json',
      'X-Mcp-Vector-Page': '1',
      Origin: this.server.url,
      ...(this.cookie !== undefined && { Cookie: this.cookie }),
    };
    const request = { method: 'POST', headers, body: JSON.stringify(body) };
    const response = await fetch(`${this.server.url}/api/${name}`, request);
    const text = await response.text();
    if (!response.ok) throw new Error(`/api/${name}: ${response.status} ${text.slice(0, SHOWN_CHARS)}`);
    return response;
  }
}

type Command = readonly [args: () => string[], exits: readonly number[]];

/** Commands as an operator types them, one after the other, with the exit codes that they may have. */
function commandsOf({ paths, plan }: BesideOptions): readonly Command[] {
  const longAgo = () => new Date(Date.now() - plan.horizonMs).toISOString();
  return [
    // A warning is an answer; critical is none that a soak may give.
    [() => ['health', '--json'], [0, 1]],
    [() => ['stats', '--json'], [0]],
    [() => ['backup', '--to', paths.ownBackups, '--json'], [0]],
    [() => ['verify', '--json'], [0]],
    [() => ['schedule', '--json'], [0]],
    [() => ['status', '--json'], [0]],
    [() => ['horizon', '--through', longAgo(), '--yes', '--json'], [0]],
    [() => ['optimize', '--dry-run', '--json'], [0]],
    [() => ['health', '--history', '--json'], [0]],
    [() => ['capacity', '--json'], [0]],
    [() => ['search', 'harbour lantern', '--json'], [0]],
    [() => ['logs', '--lines', '20', '--json'], [0]],
  ];
}

export async function runBeside(options: BesideOptions): Promise<void> {
  const { server, plan, env, paths, visitor, tally } = options;
  const page = new PageVisitor(server);
  const commands = commandsOf(options);
  let [turn, visits] = [0, 0];
  await Promise.all([
    again('GET /health', plan.scrapeMs, options, async () => {
      const response = await fetch(`${server.url}/health`);
      const text = await response.text();
      if (!response.ok) throw new Error(`${response.status} ${text.slice(0, SHOWN_CHARS)}`);
    }),
    again('looks at the page', plan.scrapeMs, options, () => page.look()),
    again('commands at a terminal', plan.commandMs, options, async () => {
      const [argsOf, exits] = commands[turn++ % commands.length]!;
      const args = argsOf();
      const { code, stderr } = await runCli(args, { env, cwd: paths.documents, main: MAIN });
      if (code === null || !exits.includes(code))
        throw new Error(`${args.join(' ')}: exit ${code}: ${stderr}`);
      tally.count(`command ${args[0]}`);
    }),
    again('windows that came and went', plan.visitMs, options, async () => {
      const client = await visitor();
      const item = { id: 'visitor', text: `visit ${++visits % 8}`, metadata: { owner: 'visitor' } };
      await client.call<UpsertAnswer>('vector_upsert', { collection: NOTES, items: [item] });
      const { items } = await client.call<GetAnswer>('vector_get', { collection: NOTES, ids: ['visitor'] });
      await client.close();
      if (items[0]?.text !== item.text) throw new Error(`visit ${visits} shows ${JSON.stringify(items[0])}`);
    }),
  ]);
}
