/** The page as its user meets it: a real Chromium at a real `serve` over a store of six weeks. Its pictures are those of docs/page.md. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLogin } from '#src/http/page/login.js';
import type { Scope } from '#src/http/scopes.js';
import { temporaryDirectory } from '../helpers/engine.js';
import { HttpProcess } from '../helpers/http-process.js';
import { runCli } from '../helpers/run-cli.js';
import { launchBrowser } from './browser.js';
import { BAD_SESSION, BEFORE_CHANGE, DEPLOY_NOW, DEPLOY_THEN, IMAGE, makeSample, SCRIPT } from './sample.js';
import { SAMPLE_SECONDS, writeSamples } from './samples.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const PICTURES = fileURLToPath(new URL('../../docs/page/', import.meta.url));
const QUESTION = 'how do we deploy staging, and who has the key';
const SCHEMES = ['light', 'dark'] as const;

let server: HttpProcess;
let browser: Browser;
let store: string;

beforeAll(async () => {
  store = join(temporaryDirectory('mvs-page-'), 'store');
  await makeSample(store);
  writeSamples(store, Date.now());
  server = await start();
  browser = await launchBrowser();
});
const start = (port?: number) =>
  HttpProcess.start(store, {
    port,
    env: {
      VECTOR_SAMPLE_SECONDS: String(SAMPLE_SECONDS),
      VECTOR_BACKUP_DIR: join(store, '..', 'backups'),
      VECTOR_SCHEDULE: 'backup-continuous=off',
      VECTOR_VERIFY_RATE: '0.3',
    },
  });
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

/** A page that is logged in, and what went wrong on it: errors, refusals of the policy, answers that failed. */
interface Visit {
  readonly page: Page;
  readonly context: BrowserContext;
  readonly faults: string[];
}

async function visit(options: BrowserContextOptions = {}, scope: Scope = 'write'): Promise<Visit> {
  const context = await browser.newContext({
    viewport: { width: 1200, height: 900 },
    locale: 'en-GB',
    timezoneId: 'UTC',
    ...options,
  });
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', error => faults.push(String(error)));
  page.on('console', message => {
    if (message.type() === 'error' || message.type() === 'warning') faults.push(message.text());
  });
  await page.addInitScript(() =>
    document.addEventListener('securitypolicyviolation', event =>
      console.error(`policy: ${event.violatedDirective}`),
    ),
  );
  await page.goto(`${server.url}/login#${createLogin(join(store, 'tokens'), scope).code}`);
  await page.locator('.legend').waitFor();
  return { page, context, faults };
}

const open = (page: Page, view: string) => page.goto(`${server.url}/#/${view}`);
const slider = (page: Page) => page.getByRole('slider', { name: 'Moment' });

async function search(page: Page): Promise<void> {
  await page.getByLabel('Look for').fill(QUESTION);
  await page.getByRole('button', { name: 'Search' }).click();
  await page.locator('.hit').first().waitFor();
}

/** Drags the time line from its end to a moment. */
async function dragTo(page: Page, atMs: number): Promise<void> {
  await slider(page).scrollIntoViewIfNeeded();
  const box = (await slider(page).boundingBox())!;
  const [fromMs, toMs] = [Date.UTC(2026, 8, 28, 6), Date.UTC(2026, 10, 9, 12)];
  const y = box.y + box.height / 2;
  const x = box.x + ((atMs - fromMs) / (toMs - fromMs)) * box.width;
  await page.mouse.move(box.x + box.width - 2, y);
  await page.mouse.down();
  await page.mouse.move((box.x + box.width + x) / 2, y, { steps: 4 });
  await page.mouse.move(x, y, { steps: 4 });
  await page.mouse.up();
}

const then = (page: Page) => page.locator('.side').first();
const now = (page: Page) => page.locator('.side').last();

/** Rewritten only where asked: a picture differs by the fonts of the machine. */
async function picture(page: Page, name: string, fullPage = false): Promise<void> {
  const path = join(PICTURES, `${name}.png`);
  if (process.env.UPDATE_PICTURES === undefined && existsSync(path)) return;
  mkdirSync(PICTURES, { recursive: true });
  writeFileSync(path, await page.screenshot({ fullPage }));
}

async function assertAccessible(page: Page): Promise<void> {
  // In the page's own world a policy of its own would refuse it: it is evaluated from outside.
  const found = await page.evaluate(`${AXE}; axe.run(document, { resultTypes: ['violations'] })`);
  const { violations, passes } = found as {
    violations: { id: string; nodes: { html: string }[] }[];
    passes: [];
  };
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)).toEqual([]);
  expect(passes.length).toBeGreaterThan(10);
}

test('a link of the command line logs in once, and a dragged moment stands beside now', async () => {
  const { stdout } = await runCli(['page', '--json', '--store', store, '--url', server.url]);
  const { url } = JSON.parse(stdout) as { url: string };
  const { page, faults, context } = await visit();
  const first = await (await browser.newContext()).newPage();
  await first.goto(url);
  await first.locator('.legend').waitFor();
  // The code is gone from the address, and with it from the history.
  expect(first.url()).toBe(`${server.url}/`);
  const second = await (await browser.newContext()).newPage();
  await second.goto(url);
  await expect.poll(() => second.getByRole('alert').textContent()).toContain('used already');

  await search(page);
  await expect.poll(() => now(page).textContent()).toContain(DEPLOY_NOW);
  expect(await page.locator('.side').count()).toBe(1);
  await dragTo(page, BEFORE_CHANGE);
  await expect.poll(() => page.locator('.side').count()).toBe(2);
  await expect.poll(() => then(page).textContent()).toContain(DEPLOY_THEN);
  expect(await then(page).textContent()).not.toContain(DEPLOY_NOW);
  expect(await now(page).textContent()).toContain(DEPLOY_NOW);
  const note = then(page).locator('.hit', { hasText: 'deploy-staging' }).first();
  expect(await note.textContent()).toContain('another version');
  await page.getByRole('button', { name: 'Back to now' }).click();
  await expect.poll(() => page.locator('.side').count()).toBe(1);
  expect(faults).toEqual([]);

  await page.getByRole('button', { name: 'Log out' }).click();
  await expect.poll(() => page.getByRole('alert').textContent()).toBe('You are logged out.');
  await page.goto(server.url);
  await expect.poll(() => page.getByRole('alert').textContent()).toContain('Nobody is logged in');
  await context.close();
});

test('with the keyboard alone', async () => {
  const { page, context } = await visit();
  await page.keyboard.press('Tab');
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Skip to the content');
  await page.keyboard.press('Enter');
  expect(await page.evaluate(() => document.activeElement?.id)).toBe('content');
  await page.keyboard.press('Tab');
  await page.keyboard.type(QUESTION);
  await page.keyboard.press('Enter');
  await page.locator('.hit').first().waitFor();
  await slider(page).focus();
  expect(await slider(page).getAttribute('aria-valuetext')).toMatch(/^now, after 359 events$/);
  await page.keyboard.press('Home');
  await expect.poll(() => slider(page).getAttribute('aria-valuetext')).toContain('28 Sept 2026, 08:00');
  await expect.poll(() => then(page).textContent()).toContain(DEPLOY_THEN);
  await page.keyboard.press('PageUp');
  await expect.poll(() => slider(page).getAttribute('aria-valuetext')).toContain('29 Sept 2026, 14:00');
  await page.keyboard.press('ArrowLeft');
  await expect.poll(() => slider(page).getAttribute('aria-valuetext')).toContain('29 Sept 2026, 11:00');
  await page.keyboard.press('End');
  await expect.poll(() => slider(page).getAttribute('aria-valuetext')).toContain('now');
  await context.close();
});

test('stored text stays text, and what would turn it around is seen', async () => {
  const { page, faults, context } = await visit();
  await open(page, 'items/notes/hostile-note');
  const text = page.locator('.change .text').first();
  await expect.poll(() => text.textContent()).toContain(SCRIPT);
  expect(await text.textContent()).toContain(IMAGE);
  expect(await text.textContent()).toContain('⟨U+202E⟩drowssap⟨U+202C⟩');
  expect(await page.locator('.fields').textContent()).toContain('<b>key</b>');
  await open(page, 'sessions');
  await page.getByRole('button', { name: 'What it wrote in somebody-else' }).click();
  await expect.poll(() => page.locator('.session').nth(1).textContent()).toContain(SCRIPT);
  await page.goto(`${server.url}/#/search`);
  await page.getByLabel('Look for').fill('script document title taken over');
  await page.getByRole('button', { name: 'Search' }).click();
  await expect.poll(() => now(page).textContent()).toContain(SCRIPT);
  expect(await page.evaluate(() => Reflect.get(globalThis, 'takenOver'))).toBeUndefined();
  expect(await page.locator('#page img, #page script, #page b').count()).toBe(0);
  expect(await page.title()).toBe('Search · mcp-vector-server');
  expect(faults).toEqual([]);
  await context.close();
});

test('the policy refuses what a text would do if it ever became more than text', async () => {
  const { page, faults, context } = await visit();
  const wrote = await page.evaluate(html => {
    try {
      document.getElementById('content')!.innerHTML = html;
      return 'written';
    } catch (error) {
      return (error as Error).name;
    }
  }, IMAGE);
  expect(wrote).toBe('TypeError');
  await expect.poll(() => faults.join()).toContain('policy: require-trusted-types-for');
  await context.close();
});

describe.each(SCHEMES)('in %s', colorScheme => {
  test('every view is accessible, and its picture is taken', async () => {
    const { page, faults, context } = await visit({ colorScheme }, 'admin');
    await search(page);
    await dragTo(page, BEFORE_CHANGE);
    await expect.poll(() => page.locator('.side').count()).toBe(2);
    await expect.poll(() => page.locator('[aria-busy=true]').count()).toBe(0);
    await assertAccessible(page);
    await picture(page, `search-${colorScheme}`);
    await page.getByText('The same as a table').click();
    await assertAccessible(page);
    await page.getByText('The same as a table').click();
    await open(page, 'items/notes/deploy-staging');
    await page.locator('.change').first().waitFor();
    expect(await page.locator('del').first().textContent()).toBe('removed: make');
    await assertAccessible(page);
    await picture(page, `history-${colorScheme}`);
    for (const view of ['items', 'marks', 'state']) {
      await open(page, view);
      await page.locator('.hit, .marks li, .facts').first().waitFor();
      await assertAccessible(page);
    }
    await open(page, 'sessions');
    await page.getByRole('button', { name: `Undo… ${BAD_SESSION}` }).click();
    await page.locator('dialog table').waitFor();
    await assertAccessible(page);
    await picture(page, `undo-${colorScheme}`);
    await page.keyboard.press('Escape');
    await open(page, 'health');
    await page.locator('.plot .future').last().waitFor();
    await page.getByLabel('Show').last().selectOption('month');
    await expect.poll(() => page.locator('.charts').textContent()).toContain('forecast');
    await expect.poll(() => page.locator('[aria-busy=true]').count()).toBe(0);
    await assertAccessible(page);
    await picture(page, `health-${colorScheme}`, true);
    for (const table of await page.locator('.chart summary').all()) await table.click();
    await assertAccessible(page);
    await open(page, 'maintenance');
    await page.locator('.job').first().waitFor();
    await assertAccessible(page);
    await picture(page, `maintenance-${colorScheme}`, true);
    expect(faults).toEqual([]);
    await context.close();
  });

  test('fits 360 px', async () => {
    const { page, context } = await visit({ colorScheme, viewport: { width: 360, height: 740 } });
    await search(page);
    await dragTo(page, BEFORE_CHANGE);
    await expect.poll(() => page.locator('.side').count()).toBe(2);
    await assertAccessible(page);
    await picture(page, `narrow-${colorScheme}`);
    for (const view of [
      'search',
      'items',
      'items/notes/hostile-note',
      'sessions',
      'marks',
      'state',
      'maintenance',
      'health',
    ]) {
      await open(page, view);
      await page.locator('.hit, .change, .session, .marks li, .job, .plot svg, .facts').first().waitFor();
      expect(await page.evaluate(() => document.documentElement.scrollWidth), view).toBeLessThanOrEqual(360);
    }
    await page.locator('.plot svg').nth(4).waitFor();
    await assertAccessible(page);
    await page.locator('#memory-title').evaluate(title => title.scrollIntoView());
    await picture(page, `narrow-health-${colorScheme}`);
    await context.close();
  });
});

test('a login that only reads offers nothing that writes', async () => {
  const { page, context } = await visit({}, 'read');
  await open(page, 'sessions');
  await page.locator('.session').first().waitFor();
  expect(await page.getByRole('button', { name: 'Undo…' }).count()).toBe(0);
  await open(page, 'marks');
  await page.locator('.marks li').first().waitFor();
  expect(await page.getByRole('button', { name: 'Set the mark' }).count()).toBe(0);
  await open(page, 'maintenance');
  await page.locator('.job').first().waitFor();
  expect(await page.getByRole('button', { name: 'Run now' }).count()).toBe(0);
  await context.close();
});

test('charts are read off by keyboard, and keep the one slow call', async () => {
  const { page, context } = await visit({}, 'read');
  await open(page, 'health');
  const chart = page.getByRole('slider', { name: 'Response times' });
  await chart.focus();
  const newest = await chart.getAttribute('aria-valuetext');
  expect(newest).toMatch(/p50\) [\d.]+ ms.*p99\) [\d.]+ ms/);
  await page.keyboard.press('PageDown');
  await expect.poll(() => chart.getAttribute('aria-valuetext')).not.toBe(newest);
  await page.keyboard.press('Home');
  await expect.poll(() => chart.getAttribute('aria-valuenow')).toBe('0');
  await page
    .locator('.chart', { has: page.locator('#latency-title') })
    .locator('summary')
    .click();
  const table = page.getByLabel('Response times of reads and writes, logarithmic as a table');
  await expect.poll(async () => (await table.textContent())!.match(/2\.4 s/g)).toHaveLength(1);
  await page
    .locator('.chart', { has: page.locator('#work-title') })
    .locator('summary')
    .click();
  await expect
    .poll(() => page.getByLabel('Calls and events a minute as a table').locator('tr').count())
    .toBe(41);
  await expect
    .poll(() => page.locator('#forecast-title + *').textContent())
    .toMatch(/Disk.*more by [\d.]+ (?:bytes|kB|MB|GB) a day/);
  await context.close();
});

test('results of another moment than the one asked for say so', async () => {
  const { page, context } = await visit();
  const title = () => then(page).locator('h3').textContent();
  await search(page);
  await dragTo(page, BEFORE_CHANGE);
  await expect.poll(() => then(page).textContent()).toContain(DEPLOY_THEN);
  expect(await title()).toMatch(/^12 Oct 2026, \d\d:\d\d$/);
  let release = () => {};
  const held = new Promise<void>(resolve => {
    release = resolve;
  });
  await page.route('**/api/search', async route => {
    await held;
    await route.continue();
  });
  // Thirty hours each; by way of now there would be nothing left to show.
  await slider(page).focus();
  for (let n = 0; n < 10; n++) await page.keyboard.press('PageUp');
  await expect.poll(title).toMatch(/^12 Oct 2026.*2[45] Oct 2026.*is being looked up/);
  expect(await then(page).textContent()).toContain(DEPLOY_THEN);
  release();
  await expect.poll(title).toMatch(/^2[45] Oct 2026, \d\d:\d\d$/);
  expect(await then(page).textContent()).toContain(DEPLOY_NOW);
  await page.unrouteAll({ behavior: 'ignoreErrors' });
  await context.close();
});

test('what others write appears by itself, not while the time line is dragged, and not behind the scenes', async () => {
  const { page, faults, context } = await visit();
  const hidden = await visit();
  const events = () => page.locator('header p').textContent();
  await page.getByLabel('Look for').fill('lighthouse keeper');
  await page.getByRole('button', { name: 'Search' }).click();
  await page.locator('.hit').first().waitFor();
  const before = await events();
  await hidden.page.evaluate(() => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => 'hidden' });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  const asked: string[] = [];
  hidden.page.on('request', request => asked.push(request.url()));
  const write = (id: string) =>
    runCli([
      'upsert',
      '--store',
      store,
      '-c',
      'notes',
      '--id',
      id,
      'The lighthouse keeper has the spare key.',
    ]);
  await write('lighthouse-1');
  await expect.poll(() => now(page).textContent()).toContain('lighthouse-1');
  await expect.poll(events).not.toBe(before);
  const between = (await events())!;
  const [first] = between.split(' ');
  await expect.poll(() => slider(page).getAttribute('aria-valuetext')).toBe(`now, after ${first} events`);

  const box = (await slider(page).boundingBox())!;
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + box.width / 2, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 3, y, { steps: 2 });
  const shown = await slider(page).getAttribute('aria-valuetext');
  await write('lighthouse-2');
  await expect.poll(events).not.toBe(between);
  expect(await slider(page).getAttribute('aria-valuetext')).toBe(shown);
  expect(shown).toContain(`of ${first}`);
  await page.mouse.up();
  const [second] = (await events())!.split(' ');
  await expect.poll(() => slider(page).getAttribute('aria-valuetext')).toContain(`of ${second}`);
  expect(asked).toEqual([]);
  expect(await hidden.page.locator('header p').textContent()).toBe(before);
  await hidden.page.evaluate(() => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => 'visible' });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await expect.poll(() => hidden.page.locator('header p').textContent()).toBe(await events());
  expect([...faults, ...hidden.faults]).toEqual([]);
  await hidden.context.close();
  await context.close();
});

test('an admin runs jobs, sees how far they are, and how they ended', async () => {
  const { page, faults, context } = await visit({}, 'admin');
  await open(page, 'maintenance');
  const job = (name: string) => page.locator('.job', { has: page.getByText(name, { exact: true }) });
  const facts = (section: string) => page.locator(`#${section}-title + *`).textContent();
  await job('backup').getByRole('button', { name: 'Run now' }).click();
  await expect.poll(() => job('backup').textContent()).toMatch(/Last: ok.*since somebody asked/);
  await expect.poll(() => facts('backups')).toContain('all there is');
  // At its rate this takes some seconds.
  await job('verify').getByRole('button', { name: 'Run now' }).click();
  await expect.poll(() => job('verify').textContent()).toContain('Running since');
  await assertAccessible(page);
  await expect.poll(() => job('verify').textContent()).toMatch(/Last: ok.*since somebody asked/);
  await expect.poll(() => facts('verification')).toMatch(/Coverageup to event (\d+) of \1: 0 events since/);
  // It cannot run here, so nobody is asked to.
  expect(await job('horizon').getByRole('button').count()).toBe(0);
  expect(faults).toEqual([]);
  await context.close();
});

test('a page whose server went away says so, and goes on when it is back', async () => {
  const { page, context } = await visit();
  const events = await page.locator('header p').textContent();
  const { port } = server;
  await server.stop();
  await expect.poll(() => page.locator('.away').textContent()).toContain('does not answer');
  await assertAccessible(page);
  expect(await page.locator('header p').textContent()).toBe(events);
  server = await start(port);
  await expect.poll(() => page.locator('.away').textContent()).toBe('');
  await page.getByRole('link', { name: 'Sessions' }).click();
  await page.locator('.session').first().waitFor();
  // And ends with the login.
  await page.getByRole('button', { name: 'Log out' }).click();
  await expect.poll(() => page.getByRole('alert').textContent()).toBe('You are logged out.');
  await context.close();
});

// Last: it changes the store.
test('a session is undone after its dry run, and a mark is set', async () => {
  const { page, faults, context } = await visit();
  await open(page, 'sessions');
  await page.getByRole('button', { name: `Undo… ${BAD_SESSION}` }).click();
  const dialog = page.getByRole('dialog');
  await expect.poll(() => dialog.textContent()).toContain('Nothing is changed yet.');
  expect(await dialog.textContent()).toContain('3 items would come back');
  await page.keyboard.press('Escape');
  await expect.poll(() => dialog.count()).toBe(0);
  await open(page, 'items/notes/new-rule');
  await expect.poll(() => page.locator('.change').count()).toBe(1);

  await open(page, 'sessions');
  await page.getByRole('button', { name: `Undo… ${BAD_SESSION}` }).click();
  await page.getByRole('button', { name: 'Undo 4 changes' }).click();
  await expect.poll(() => dialog.textContent()).toContain('Done. 3 items came back and 1 item went');
  await page.getByRole('button', { name: 'Close' }).click();
  await open(page, 'items/notes/new-rule');
  await expect.poll(() => page.locator('.change').first().textContent()).toContain('deleted');
  await open(page, 'items/notes/note-40-0');
  await expect.poll(() => page.locator('.change').first().textContent()).toContain('restored');

  await open(page, 'marks');
  await page.getByLabel('Name this moment').fill('after-undo');
  await page.getByRole('button', { name: 'Set the mark' }).click();
  await expect.poll(() => page.locator('.marks').textContent()).toContain('after-undo');
  await page.getByRole('button', { name: 'Go to before-migration' }).click();
  await expect.poll(() => slider(page).getAttribute('aria-valuetext')).toContain('18 Oct 2026, 11:00');
  expect(faults).toEqual([]);
  await context.close();
});

test('the source has no way to make markup of text', () => {
  const dir = fileURLToPath(new URL('../../src/page/', import.meta.url));
  const files = readdirSync(dir).filter(name => /\.tsx?$/.test(name));
  expect(files.length).toBeGreaterThan(8);
  const forbidden =
    /innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|\beval\(|new Function|srcdoc/i;
  expect(files.filter(name => forbidden.test(readFileSync(join(dir, name), 'utf8')))).toEqual([]);
});
