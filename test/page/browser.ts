/** A real Chromium, without a screen. */
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
];

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
];

interface Found {
  readonly executablePath: string;
  readonly env?: Record<string, string>;
}

/**
 * $CHROMIUM, or the machine's, or the one that npm installed (Linux on x64); CHROMIUM=npm takes that in any case.
 * @throws where there is none: a test that needs a browser and has none has failed
 */
async function findChromium(): Promise<Found> {
  const { CHROMIUM = '' } = process.env;
  if (CHROMIUM !== '' && CHROMIUM !== 'npm') return { executablePath: CHROMIUM };
  const installed = PLACES.find(path => existsSync(path));
  if (installed !== undefined && CHROMIUM === '') return { executablePath: installed };
  if (process.platform === 'linux' && process.arch === 'x64') return unpackChromium();
  throw new Error('The tests of the page need Chromium: install it, or name one with CHROMIUM=/path/to/it.');
}

/** It is made for functions in a cloud, and brings the libraries that it needs where it believes to be in one. */
async function unpackChromium(): Promise<Found> {
  const before = { ...process.env };
  process.env.AWS_LAMBDA_JS_RUNTIME = 'nodejs20.x';
  try {
    const { default: packed } = await import('@sparticuz/chromium');
    const executablePath = await packed.executablePath();
    // Its libraries, but not its fonts: with these it crashes here.
    const { LD_LIBRARY_PATH } = process.env;
    return { executablePath, env: { ...before, LD_LIBRARY_PATH } as Record<string, string> };
  } finally {
    for (const name of ['AWS_LAMBDA_JS_RUNTIME', 'LD_LIBRARY_PATH', 'FONTCONFIG_PATH', 'FONTCONFIG_FILE'])
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
  }
}

/** With a new, empty profile, which is gone when it is closed. */
export async function launchBrowser(): Promise<Browser> {
  return chromium.launch({ ...(await findChromium()), args: FLAGS });
}
