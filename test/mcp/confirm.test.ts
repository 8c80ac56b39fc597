/**
 * Asking the user before much is destroyed: by clients that can ask, in each era; by hand where a client lies. A call that was not confirmed
 * changes nothing.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  Client,
  type ElicitResult,
  InMemoryTransport,
  isInputRequiredResult,
} from '@modelcontextprotocol/client';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Engine } from '#src/domain/face.js';
import { Confirmations } from '#src/mcp/confirm.js';
import { createServer } from '#src/mcp/server.js';
import { identifyWindow } from '#src/mcp/session.js';
import { MemoryLog } from '#wal/memory-log.js';
import { memoryEngine } from '../helpers/memory-engine.js';
import type { ToolResult } from './connections.js';
import { SURFACE_CLIENTS, type SurfaceClient } from './surface-clients.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mvs-confirm-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const TIMEOUT_MS = 120_000;
const items = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ id: `item-${i}`, vector: [1, i, 0], metadata: { kind: 'x' } }));
const YES: ElicitResult = { action: 'accept', content: { confirm: true } };
const left = async (client: Pick<SurfaceClient, 'call'>) =>
  (await client.call('vector_status')).structuredContent.collections[0].items as number;

describe.each(SURFACE_CLIENTS)('%s', (_, launch) => {
  test('asks before it deletes or takes back many, and does what the user says', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const asked: string[] = [];
    let answer: ElicitResult = { action: 'decline' };
    const user = (message: string) => {
      asked.push(message);
      return answer;
    };
    const client = await launch({ store: join(directory, 'store'), user });
    try {
      const written = await client.call('vector_upsert', { items: items(30) });
      const everything = { where: { kind: 'x' } };
      for (const no of [
        { action: 'decline' },
        { action: 'cancel' },
        { action: 'accept', content: { confirm: false } },
      ] as const) {
        answer = no;
        const refused = await client.call('vector_delete', everything);
        expect(refused).toMatchObject({ isError: true });
        expect(refused.content[0]!.text).toMatch(/^CONFIRMATION_DECLINED: /);
      }
      expect(asked).toHaveLength(3);
      expect(asked[0]).toBe('Delete 30 items of the memory "default"? It can be undone.');
      expect(await left(client)).toBe(30);

      // Looking is free, and so are few items, whatever the user would say.
      expect((await client.call('vector_delete', { ...everything, dry_run: true })).isError).toBeFalsy();
      expect((await client.call('vector_delete', { ids: ['item-0'] })).isError).toBeFalsy();
      expect((await client.call('vector_revert', { ids: ['item-0'], dry_run: false })).isError).toBeFalsy();
      expect(asked).toHaveLength(3);

      answer = YES;
      const done = await client.call('vector_delete', everything);
      expect(done.structuredContent).toMatchObject({ deleted_count: 30, dry_run: false });
      expect(asked).toHaveLength(4);
      expect(await left(client)).toBe(0);

      // Taking back is asked for as well, and with the plan that was confirmed.
      const undo = done.structuredContent.undo.arguments;
      answer = { action: 'decline' };
      expect((await client.call('vector_revert', undo)).content[0]!.text).toMatch(/^CONFIRMATION_DECLINED/);
      expect(await left(client)).toBe(0);
      answer = YES;
      expect((await client.call('vector_revert', undo)).structuredContent.counts.restored).toBe(30);
      expect(asked.at(-1)).toMatch(
        /^Take back changes to 30 items .* 30 items would get .* 0 would be deleted/,
      );
      expect(await left(client)).toBe(30);
      expect(written.structuredContent.seq).toBeGreaterThan(0);
    } finally {
      await client.close();
    }
  });

  test('that cannot ask its user is served as ever', { timeout: TIMEOUT_MS }, async () => {
    const client = await launch({ store: join(directory, 'store') });
    try {
      await client.call('vector_upsert', { items: items(30) });
      const done = await client.call('vector_delete', { where: { kind: 'x' } });
      expect(done.structuredContent).toMatchObject({ deleted_count: 30 });
      const undone = await client.call('vector_revert', done.structuredContent.undo.arguments);
      expect(undone.structuredContent.counts).toMatchObject({ restored: 30 });
    } finally {
      await client.close();
    }
  });
});

/** Of a request what is looked at here. */
const requestWith = (state: string | undefined) =>
  ({ mcpReq: { requestState: () => state, inputResponses: { confirm: YES } } }) as never;

/** What a client of 2026-07-28 may send, which the SDK's own never would. */
describe('an answer in 2026-07-28', () => {
  const DELETE = { name: 'vector_delete', arguments: { where: { kind: 'x' } } };
  let engine: Engine;
  let client: Client;

  const connect = async (session = '/'): Promise<Client> => {
    const context = {
      engine: async () => engine,
      version: '0.0.0-test',
      window: identifyWindow({}, session),
      transport: 'stdio' as const,
      roots: undefined,
      env: {},
      cwd: '/',
      logger: pino({ level: 'silent' }),
    };
    const [clientSide, serverSide] = InMemoryTransport.createLinkedPair();
    serveStdio(() => createServer(context), { transport: serverSide });
    const connected = new Client(
      { name: 'forger', version: '1' },
      {
        versionNegotiation: { mode: 'auto' },
        capabilities: { elicitation: { form: {} } },
        inputRequired: { autoFulfill: false },
      },
    );
    await connected.connect(clientSide);
    return connected;
  };

  /** One round: what the server answers, whichever kind it is. */
  const round = (params: object, by = client): Promise<ToolResult & { requestState?: string }> =>
    by.callTool({ ...DELETE, ...params } as never, { allowInputRequired: true } as never) as never;
  const ask = async (by = client): Promise<string> => {
    const question = await round({}, by);
    expect(isInputRequiredResult(question)).toBe(true);
    return question.requestState!;
  };
  const inputResponses = { confirm: YES };
  const stored = async () => (await engine.status({}, {} as never)).collections[0]!.items;
  const refusal = async (params: object, by = client) => {
    const result = await round(params, by);
    expect(result.isError, JSON.stringify(result)).toBe(true);
    expect(await stored()).toBe(30);
    return result.content[0]!.text;
  };

  beforeEach(async () => {
    engine = await memoryEngine(new MemoryLog());
    client = await connect();
    await client.callTool({ name: 'vector_upsert', arguments: { items: items(30) } });
  });
  afterEach(() => client.close());

  test('to a question that was asked counts, once', async () => {
    const requestState = await ask();
    expect((await round({ requestState, inputResponses })).structuredContent).toMatchObject({
      deleted_count: 30,
    });
    await client.callTool({ name: 'vector_upsert', arguments: { items: items(30) } });
    expect(await refusal({ requestState, inputResponses })).toMatch(/^CONFIRMATION_INVALID: .*used already/);
  });

  test('without a question confirms nothing: it is asked', async () => {
    const question = await round({ inputResponses });
    expect(isInputRequiredResult(question)).toBe(true);
    expect(await stored()).toBe(30);
  });

  test('with a state that nobody signed is refused', async () => {
    const [version, body, mac] = (await ask()).split('.') as [string, string, string];
    const payload = JSON.parse(Buffer.from(body, 'base64url').toString());
    payload.exp += 1_000_000;
    const forged = Buffer.from(JSON.stringify(payload)).toString('base64url');
    for (const requestState of [
      '',
      'x',
      `${version}.${forged}.${mac}`,
      `${version}.${body}.${mac.slice(1)}`,
      `${version}.${body}.`,
    ])
      expect(await refusal({ requestState, inputResponses })).toMatch(/^CONFIRMATION_INVALID: /);
  });

  test('to another call is refused: other arguments, another tool', async () => {
    const requestState = await ask();
    expect(
      await refusal({ arguments: { where: { kind: { $exists: true } } }, requestState, inputResponses }),
    ).toMatch(/^CONFIRMATION_INVALID: .*another call/);
    expect(
      await refusal({
        name: 'vector_revert',
        arguments: { ids: items(30).map(({ id }) => id), dry_run: false },
        requestState,
        inputResponses,
      }),
    ).toMatch(/^CONFIRMATION_INVALID: .*another call/);
  });

  test('of another window is refused', async () => {
    const other = await connect('/elsewhere');
    const requestState = await ask(other);
    expect(await refusal({ requestState, inputResponses })).toMatch(/^CONFIRMATION_INVALID: .*another call/);
    await other.close();
  });

  test('to what the call would do no longer is asked anew', async () => {
    const requestState = await ask();
    await client.callTool({
      name: 'vector_upsert',
      arguments: { items: [{ id: 'new', vector: [1, 0, 0], metadata: { kind: 'x' } }] },
    });
    const question = await round({ requestState, inputResponses });
    expect(isInputRequiredResult(question)).toBe(true);
    expect(JSON.stringify(question)).toContain('Delete 31 items');
    expect(await stored()).toBe(31);
    const done = await round({ requestState: question.requestState, inputResponses });
    expect(done.structuredContent).toMatchObject({ deleted_count: 31 });
  });

  test('that comes too late is refused', async () => {
    const confirmations = new Confirmations(-2);
    const call = {
      tool: 'vector_delete',
      args: { where: { kind: 'x' } },
      question: { message: 'Delete?', effect: '30' },
      principal: 'me',
    };
    const asked = await confirmations.ask(call, requestWith(undefined));
    await expect(confirmations.ask(call, requestWith(asked!.requestState))).rejects.toMatchObject({
      code: 'CONFIRMATION_INVALID',
      message: expect.stringContaining('too late'),
    });
  });

  test('that is none is asked anew', async () => {
    const requestState = await ask();
    for (const nothing of [undefined, {}, { other: YES }, { confirm: { action: 'shrug' } }]) {
      const question = await round({ requestState, ...(nothing && { inputResponses: nothing }) });
      expect(isInputRequiredResult(question), JSON.stringify(nothing)).toBe(true);
    }
    expect(await refusal({ requestState, inputResponses: { confirm: { action: 'accept' } } })).toMatch(
      /^CONFIRMATION_DECLINED/,
    );
    expect(await stored()).toBe(30);
  });
});
