import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { launchBrowser } from './browser.js';
import { makeSample } from './sample.js';
import { HttpProcess } from '../helpers/http-process.js';
import { createLogin } from '#src/http/page/login.js';
const store = join(mkdtempSync('/dev/shm/page/try-'), 'store');
await makeSample(store);
const server = await HttpProcess.start(store);
const browser = await launchBrowser();
try {
  for (const colorScheme of ['light', 'dark'] as const) {
    const context = await browser.newContext({ colorScheme, viewport: { width: 1200, height: 900 }, locale: 'en-GB', timezoneId: 'UTC' });
    const page = await context.newPage();
    page.on('console', m => console.log('console', m.text()));
    page.on('pageerror', e => console.log('pageerror', e));
    const { code } = createLogin(join(store, 'tokens'), 'write');
    await page.goto(`${server.url}/login#${code}`);
    await page.waitForSelector('.legend');
    await page.getByLabel('Look for').fill('how do we deploy staging, and who has the key');
    await page.getByRole('button', { name: 'Search' }).click();
    await page.waitForSelector('.hit');
    const box = (await page.getByRole('slider').boundingBox())!;
    await page.mouse.move(box.x + 500, box.y + 50);
    await page.mouse.down();
    await page.mouse.move(box.x + 400, box.y + 50);
    await page.mouse.up();
    await page.waitForSelector('.side:nth-child(2) .hit');
    await page.waitForTimeout(600);
    await page.screenshot({ path: `/tmp/page-search-${colorScheme}.png` });
    await page.goto(`${server.url}/#/items/notes/deploy-staging`);
    await page.waitForSelector('.change');
    await page.screenshot({ path: `/tmp/page-history-${colorScheme}.png` });
    await page.goto(`${server.url}/#/sessions`);
    await page.getByRole('button', { name: 'Undo… codex-7f31' }).click();
    await page.waitForSelector('dialog table');
    await page.screenshot({ path: `/tmp/page-undo-${colorScheme}.png` });
  await context.close();
  }
} catch (e) { console.log(e); } finally { await browser.close(); await server.stop(); console.log(server.log.slice(-300)); }
