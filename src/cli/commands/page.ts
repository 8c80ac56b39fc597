import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PATHS } from '../../../wal/paths.js';
import { createLogin, LINK_MS, SESSION_MS } from '../../http/page/login.js';
import { usage } from '../arguments.js';
import type { Call } from '../command.js';
import { configOf } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { say, sayJson } from '../printing.js';

const COMMAND = { name: 'page' };
const URL_DEFAULT = 'http://127.0.0.1:3000';

/** `page`: a link that logs one browser in to the page of `serve`, once. It needs no store that is open. */
export default async function page(call: Call): Promise<number> {
  // What is made here is for the user alone.
  process.umask(0o077);
  const base = baseOf(call.text('url') ?? URL_DEFAULT);
  const dir = join(configOf(call).storePath, PATHS.tokens);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const { code, name, scope, expires } = createLogin(
    dir,
    call.has('admin') ? 'admin' : call.has('write') ? 'write' : 'read',
  );
  // Behind the #: a browser sends it to nobody, and no log has it.
  const url = `${base}/login#${code}`;
  const isOpened = call.has('open') && (await openInBrowser(url));
  if (call.has('json')) sayJson({ url, name, scope, expires: expires.toISOString(), opened: isOpened });
  else {
    say(url);
    console.error(
      `Open it within ${LINK_MS / 60_000} minutes; it works once, and the page stays open to you for ${SESSION_MS / 3_600_000} hours. ` +
        `${scope === 'read' ? 'It only reads; --write adds marks and undo, --admin also running jobs. ' : ''}To end it: mcp-vector-server token revoke ${name}`,
    );
  }
  if (call.has('open') && !isOpened) console.error('No browser could be opened here: open the link by hand.');
  return EXIT.ok;
}

/** @throws CodedError INVALID_ARGUMENT */
function baseOf(given: string): string {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (
    url === undefined ||
    !/^https?:$/.test(url.protocol) ||
    url.pathname !== '/' ||
    url.search + url.hash !== ''
  )
    throw usage(
      COMMAND,
      `--url ${JSON.stringify(given)} is not where a server is reached, such as ${URL_DEFAULT}`,
    );
  return url.origin;
}

/** @returns whether the system took it */
async function openInBrowser(url: string): Promise<boolean> {
  const [program, args] =
    process.platform === 'darwin'
      ? ['open', [url]]
      : process.platform === 'win32'
        ? ['rundll32', ['url.dll,FileProtocolHandler', url]]
        : ['xdg-open', [url]];
  try {
    await promisify(execFile)(program as string, args as string[], { timeout: 5_000 });
    return true;
  } catch {
    return false;
  }
}
