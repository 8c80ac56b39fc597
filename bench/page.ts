/**
 * The page over a large log, in a real Chromium: first paint, the time until the time line is drawn, and the frames of a drag along it
 * with a search that follows; how long the calls take behind it. `npm run bench:page -- [--events N] [--items M] [--visits V] [--drags D]`, default 1 000 000 events on
 * 200 000 items of 8 dimensions over a year, by 5 clients in 2 000 sessions; 15 visits, 10 drags. CHROMIUM names the browser.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Page } from 'playwright-core';
import type { CallContext } from '#src/domain/face.js';
import { openEngine } from '#src/engine/open.js';
import { createLogin } from '#src/http/page/login.js';
import { createLogger } from '#src/log.js';
import { HttpProcess } from '../test/helpers/http-process.js';
import { launchBrowser } from '../test/page/browser.js';
import { SeededRandom, texts } from './data.js';

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '1000000' },
    items: { type: 'string', default: '200000' },
    visits: { type: 'string', default: '15' },
    drags: { type: 'string', default: '10' },
  },
});
const [events, items, visits, drags] = [values.events, values.items, values.visits, values.drags].map(
  Number,
) as [number, number, number, number];

const DIMENSION = 8;
const BATCH = 500;
const YEAR_MS = 365 * 86_400_000;
const MOVES_A_DRAG = 120;
const CLIENTS = ['claude-code', 'cursor', 'codex', 'vscode', 'windsurf'];

function report(name: string, ms: readonly number[]): void {
  const sorted = [...ms].sort((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!.toFixed(1);
  console.log(`${name.padEnd(56)} median ${at(0.5)} ms, p95 ${at(0.95)}, worst ${at(1)}  (${ms.length})`);
}

async function fill(path: string): Promise<void> {
  const random = new SeededRandom();
  const text = texts(random);
  const startMs = Date.now() - YEAR_MS;
  let nowMs = startMs;
  const engine = await openEngine({
    path,
    config: {
      metric: 'cosine',
      indexEngine: 'usearch',
      durability: 'interval',
      embedder: { provider: 'embedded', model: '', url: '', key: undefined, dimension: undefined },
    },
    logger: createLogger({ logLevel: 'silent', logFile: undefined }),
    clock: () => nowMs,
  });
  for (let done = 0; done < events; done += BATCH) {
    nowMs = startMs + Math.floor((done / events) * YEAR_MS);
    const session = Math.floor((done / events) * 2000);
    const context: CallContext = {
      actor: {
        clientName: CLIENTS[session % CLIENTS.length]!,
        clientVersion: '1',
        session: `session-${session}`,
        sessionSource: 'meta',
        project: '',
        transport: 'stdio',
        tool: session % 7 === 0 ? 'vector_ingest' : 'vector_upsert',
      },
    };
    const first = done < items ? done : random.below(Math.max(1, items - BATCH));
    const batch = Array.from({ length: Math.min(BATCH, events - done) }, (_, n) => ({
      id: `item-${first + n}`,
      text: text(),
      vector: Array.from({ length: DIMENSION }, () => random.below(1000) / 1000 - 0.5),
    }));
    await engine.upsert({ collection: 'notes', items: batch }, context);
  }
  await engine.close();
}

/** What a visit took, by the browser's own clock from the beginning of the navigation. */
async function visit(page: Page, url: string): Promise<{ paint: number; drawn: number }> {
  await page.goto(url);
  await page.locator('.legend').waitFor();
  return (await page.evaluate(`(() => ({
    paint: performance.getEntriesByName('first-contentful-paint')[0].startTime,
    drawn: performance.getEntriesByType('resource').filter(one => one.name.endsWith('/api/activity')).at(-1).responseEnd,
  }))()`)) as { paint: number; drawn: number };
}

/** How long the calls of a name took, by the browser's clock. */
async function durations(page: Page, name: string): Promise<number[]> {
  return (await page.evaluate(
    `performance.getEntriesByType('resource').filter(one => one.name.endsWith('/api/${name}')).map(one => one.duration)`,
  )) as number[];
}

/** The time between frames while the time line is dragged to and fro. */
async function drag(page: Page): Promise<number[]> {
  const box = (await page.getByRole('slider').boundingBox())!;
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + box.width - 5, y);
  await page.evaluate(`(() => {
    globalThis.frames_ms = [];
    let last = performance.now();
    const frame = now => { globalThis.frames_ms.push(now - last); last = now; globalThis.frame_id = requestAnimationFrame(frame); };
    globalThis.frame_id = requestAnimationFrame(now => { last = now; globalThis.frame_id = requestAnimationFrame(frame); });
  })()`);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.1, y, { steps: MOVES_A_DRAG });
  await page.mouse.move(box.x + box.width * 0.8, y, { steps: MOVES_A_DRAG });
  await page.mouse.up();
  return (await page.evaluate('cancelAnimationFrame(globalThis.frame_id); globalThis.frames_ms')) as number[];
}

const root = mkdtempSync(join(tmpdir(), 'mvs-bench-page-'));
try {
  const store = join(root, 'store');
  const startMs = performance.now();
  await fill(store);
  console.log(`${events} events written in ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
  const server = await HttpProcess.start(store);
  const browser = await launchBrowser();
  try {
    const page = await browser.newPage();
    const { code } = createLogin(join(store, 'tokens'), 'read');
    const first = await visit(page, `${server.url}/login#${code}`);
    console.log(
      `the first visit after a start: first paint ${first.paint.toFixed(0)} ms, time line there ${first.drawn.toFixed(0)} ms`,
    );
    const paints: number[] = [];
    const drawn: number[] = [];
    for (let n = 0; n < visits; n++) {
      const one = await visit(page, server.url);
      paints.push(one.paint);
      drawn.push(one.drawn);
    }
    report('first contentful paint', paints);
    report('the time line’s data there', drawn);
    const alone: number[] = [];
    for (let n = 0; n < drags; n++) alone.push(...(await drag(page)));
    report('a frame of a drag', alone);
    await page.locator('form select').last().selectOption('keyword');
    await page.getByLabel('Look for').fill('river stone');
    await page.getByRole('button', { name: 'Search' }).click();
    await page.locator('.side').first().waitFor();
    const searching: number[] = [];
    for (let n = 0; n < drags; n++) searching.push(...(await drag(page)));
    report('a frame of a drag, with a search that follows', searching);
    await page.goto(`${server.url}/#/health`);
    await page.locator('#forecast-title ~ .facts').waitFor();
    for (const name of ['health', 'charts', 'capacity', 'activity', 'status'])
      report(`the call ${name}`, await durations(page, name));
  } finally {
    await browser.close();
    await server.stop();
  }
} finally {
  rmSync(root, { recursive: true, force: true });
}
