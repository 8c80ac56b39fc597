/** The channels of alerts, against real servers and real programs. */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runAlertCommand } from '#src/ops/alert-command.js';
import { isForbidden, postWebhook } from '#src/ops/webhook.js';
import { temporaryDirectory } from '../helpers/engine.js';

const coded = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

describe('the webhook', () => {
  let server: Server;
  let url: string;
  const seen: { path: string; body: string; type: string | undefined }[] = [];
  const ANSWERS: Record<string, (response: ServerResponse) => void> = {
    '/fine': response => response.writeHead(204).end(),
    '/redirect': response => response.writeHead(307, { Location: '/fine' }).end(),
    '/broken': response => response.writeHead(500).end('secret of the server'),
    '/endless': response => {
      response.writeHead(200);
      const more = setInterval(() => response.write('x'.repeat(65_536)), 1);
      response.once('close', () => clearInterval(more));
    },
    '/silent': () => undefined,
    '/gone': response => response.destroy(),
  };

  beforeAll(async () => {
    server = createServer(async (request: IncomingMessage, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      seen.push({ path: request.url!, body, type: request.headers['content-type'] });
      ANSWERS[request.url!]!(response);
    });
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.closeAllConnections());
  afterAll(() => server.close());

  const post = (path: string, timeoutMs = 5_000) => postWebhook(`${url}${path}`, '{"a":1}', { timeoutMs });

  test('gets the alert as JSON', async () => {
    await post('/fine');
    expect(seen.at(-1)).toEqual({ path: '/fine', body: '{"a":1}', type: 'application/json' });
    // What it answers is not read.
    await post('/endless');
  });

  test('is not followed where it redirects', async () => {
    const before = seen.length;
    await expect(post('/redirect')).rejects.toThrow(coded('ALERT_WEBHOOK_FAILED', /redirect \(307\)/));
    expect(seen.slice(before).map(({ path }) => path)).toEqual(['/redirect']);
  });

  test.each([
    ['/broken', 'ALERT_WEBHOOK_FAILED', /^the webhook answered 500$/],
    ['/gone', 'ALERT_WEBHOOK_FAILED', /not reached: ECONNRESET$/],
    ['/silent', 'ALERT_TIMEOUT', /did not answer within 100 ms$/],
  ])('%s fails by a code that names no URL', async (path, code, message) => {
    await expect(post(path, path === '/silent' ? 100 : 5_000)).rejects.toThrow(coded(code, message));
  });

  test.each([
    '169.254.169.254',
    '169.254.0.1',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    'fe80::1',
    'febf::1',
    'ff02::1',
    '::',
    'fd00:ec2::254',
    'fd20:ce::254',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '::169.254.169.254',
    '64:ff9b::169.254.169.254',
    '64:ff9b::6464:64c8',
    '2002:a9fe:a9fe::1',
  ])('never goes to %s, by address or by name', async address => {
    expect(isForbidden(address)).toBe(true);
    const literal = address.includes(':') ? `[${address}]` : address;
    const asked = postWebhook(`https://${literal}/x`, '{}', { timeoutMs: 5_000 });
    await expect(asked).rejects.toThrow(coded('ALERT_ADDRESS_FORBIDDEN', /nothing was sent/));
    const family = address.includes(':') ? 6 : 4;
    const resolve = ((_host: string, _options: object, done: (...args: unknown[]) => void) =>
      done(null, [
        { address: '192.0.2.1', family: 4 },
        { address, family },
      ])) as never;
    const named = postWebhook('https://hooks.example/x', '{}', { timeoutMs: 5_000, resolve });
    await expect(named).rejects.toThrow(coded('ALERT_ADDRESS_FORBIDDEN', /nothing was sent/));
  });

  test.each([
    '1.1.1.1',
    '10.0.0.1',
    '192.168.1.1',
    '127.0.0.1',
    '::1',
    '2606:4700::1111',
    '64:ff9b::101:101',
    'fd12::1',
  ])('may go to %s', address => expect(isForbidden(address)).toBe(false));

  test('in the open it goes to this machine alone, whatever a name means today', async () => {
    const resolve = ((_host: string, _options: object, done: (...args: unknown[]) => void) =>
      done(null, [{ address: '192.0.2.1', family: 4 }])) as never;
    const asked = postWebhook('http://localhost:9/x', '{}', { timeoutMs: 5_000, resolve });
    await expect(asked).rejects.toThrow(coded('ALERT_ADDRESS_FORBIDDEN', /in the open/));
    // The name of this machine, as it is resolved, is fine.
    await postWebhook(`${url.replace('127.0.0.1', 'localhost')}/fine`, '{}', {
      timeoutMs: 5_000,
      resolve: ((_host: string, _options: object, done: (...args: unknown[]) => void) =>
        done(null, [{ address: '127.0.0.1', family: 4 }])) as never,
    });
  });
});

describe('the alert command', () => {
  const dir = temporaryDirectory();
  const script = (name: string, text: string): string => {
    const path = join(dir, name);
    writeFileSync(path, `#!/bin/sh\n${text}\n`);
    chmodSync(path, 0o700);
    return path;
  };

  test('has the alert on its stdin, its arguments as they are, and none of our settings', async () => {
    const out = join(dir, 'out');
    const path = script('it; echo is', `{ printf '%s\\n' "$@"; env; cat; } > '${out}'`);
    process.env.VECTOR_EMBEDDER_KEY = 'K3Y';
    try {
      await runAlertCommand([path, '$(touch hacked)', 'a b', ';&|'], '{"a":1}\n', 5_000);
    } finally {
      delete process.env.VECTOR_EMBEDDER_KEY;
    }
    const said = readFileSync(out, 'utf8');
    expect(said.split('\n').slice(0, 3)).toEqual(['$(touch hacked)', 'a b', ';&|']);
    expect(said.endsWith('{"a":1}\n')).toBe(true);
    expect(said).not.toContain('K3Y');
  });

  test('may ignore what it is told', async () => {
    await runAlertCommand([script('deaf', 'exec <&-; exit 0')], 'x'.repeat(1e6), 5_000);
  });

  test.each([
    ['fails', 'exit 3', 'ALERT_COMMAND_FAILED', /ended with 3$/],
    ['is killed', 'kill -KILL $$', 'ALERT_COMMAND_FAILED', /ended by SIGKILL$/],
    ['talks too much', 'yes', 'ALERT_COMMAND_FAILED', /more than 64 KiB$/],
    ['does not end', 'exec sleep 60', 'ALERT_TIMEOUT', /did not end within 300 ms/],
  ])('that %s is told by its code', async (name, text, code, message) => {
    const timeoutMs = code === 'ALERT_TIMEOUT' ? 300 : 20_000;
    await expect(runAlertCommand([script(name, text)], '{}', timeoutMs)).rejects.toThrow(
      coded(code, message),
    );
  });

  test('that is not there, or not to be run, is told so', async () => {
    const missing = runAlertCommand([join(dir, 'missing')], '{}', 5_000);
    await expect(missing).rejects.toThrow(coded('ALERT_COMMAND_FAILED', /could not be started: ENOENT$/));
    await expect(runAlertCommand([dir], '{}', 5_000)).rejects.toThrow(
      coded('ALERT_COMMAND_FAILED', /EACCES$/),
    );
  });
});
