/** Schedules of real servers: an owner killed in the middle of a backup, another window that takes over, and commands beside them. */
import { existsSync, mkdirSync, readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JobView, ScheduleAnswer } from '#src/domain/schedule.js';
import { verifyBackups } from '#src/engine/backup-verify.js';
import { connectToOwner } from '#src/local/client.js';
import { StateFile } from '#src/ops/schedules/state.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { McpProcess } from '../helpers/mcp-process.js';
import { runCli } from '../helpers/run-cli.js';

const home = realpathSync(temporaryDirectory());
const store = join(home, 'store');
const backups = join(home, 'backups');
const env = {
  HOME: home,
  XDG_RUNTIME_DIR: join(home, 'run'),
  VECTOR_BACKUP_DIR: backups,
  // Eight seconds for what is in the store: time enough for two commands and a kill, also on a busy machine.
  VECTOR_BACKUP_RATE: '0.1',
  VECTOR_SCHEDULE: 'checkpoint=off, verify=off',
};
const servers: McpProcess[] = [];

beforeAll(async () => {
  mkdirSync(env.XDG_RUNTIME_DIR, { mode: 0o700 });
  const engine = await openTestEngine(store);
  const items = Array.from({ length: 50 }, (_, n) => ({
    id: `item-${n}`,
    text: `note ${n}`,
    metadata: { filler: 'x'.repeat(15_000) },
  }));
  await engine.upsert({ collection: 'notes', items }, testContext);
  await engine.close();
  // A server that ran last week noted when the next backup was due.
  const states = new StateFile(store, message => expect.fail(message));
  states.set('backup', { next: { ms: Date.now() - 3 * 86_400_000, times: '17 4 * * *' } });
  await states.save();
});
afterAll(async () => {
  for (const server of servers) if (!server.hasExited) await server.kill();
});

async function serve(): Promise<McpProcess> {
  const server = new McpProcess(store, { root: home, env });
  servers.push(server);
  await server.call('vector_status', {});
  return server;
}

async function schedule(...args: string[]) {
  const { code, stdout, stderr } = await runCli(['schedule', ...args, '--json', '--store', store], {
    cwd: home,
    env,
  });
  const error = code === 0 || stderr === '' ? undefined : JSON.parse(stderr.trim().split('\n').at(-1)!).error;
  return { code, answer: stdout === '' ? undefined : (JSON.parse(stdout) as ScheduleAnswer), error };
}

const job = (answer: ScheduleAnswer | undefined, name = 'backup'): JobView =>
  answer!.jobs.find(one => one.name === name)!;

/** The owner's own answer, whichever process that is by now. */
async function until(is: (backup: JobView) => boolean): Promise<JobView> {
  for (;;) {
    const owner = await connectToOwner(store);
    const answer = await owner?.schedule({ action: 'list' }, testContext).catch(() => undefined);
    await owner?.close();
    if (answer !== undefined && is(job(answer))) return job(answer);
    await sleep(150);
  }
}

const isWriting = (): boolean =>
  existsSync(join(backups, 'segments')) &&
  readdirSync(join(backups, 'segments')).some(name => name.endsWith('.unfinished'));

test('a backup whose owner is killed is taken up by the window that takes over', {
  timeout: 90_000,
}, async () => {
  const first = await serve();
  const second = await serve();
  // Missed while no server ran: once, soon after the start.
  expect((await until(({ running }) => running !== undefined)).running).toMatchObject({ reason: 'missed' });
  while (!isWriting()) await sleep(20);
  expect(await schedule('run', 'backup')).toMatchObject({ code: 2, error: { code: 'JOB_RUNNING' } });
  // A command of the same kind is kept out of the directory meanwhile.
  const beside = await runCli(['backup', '--to', backups, '--store', store, '--json'], { cwd: home, env });
  expect(JSON.parse(beside.stderr).error.code).toBe('BACKUP_BUSY');
  expect(isWriting()).toBe(true);
  await first.kill();
  expect((await until(({ last }) => last !== undefined)).last).toMatchObject({
    ...{ outcome: 'interrupted', code: 'RUN_INTERRUPTED' },
  });
  const done = await until(({ last }) => last?.outcome === 'ok');
  expect(done.last).toMatchObject({ reason: 'resumed' });
  expect(done.next! > new Date().toISOString()).toBe(true);
  const { isSound, backups: made } = await verifyBackups(backups, {});
  expect([isSound, made.length]).toEqual([true, 1]);

  // Of the server, progress included; then paused, which holds when no server runs any more.
  const asked = await schedule('run', 'backup');
  expect(asked).toMatchObject({
    ...{ code: 0, answer: { is_kept: true, run: { reason: 'asked', outcome: 'ok' } } },
  });
  await schedule('pause', 'backup');
  // Here it is set otherwise: those of the server count. What is only not set here is no word worth.
  const { VECTOR_BACKUP_RATE, ...less } = env;
  const otherwise = { ...less, VECTOR_BACKUP_KEEP: 'last=9' };
  const told = await runCli(['schedule', '--store', store], { cwd: home, env: otherwise });
  expect(told.stdout).toMatch(/process \d+, whose settings count/);
  expect(told.stdout).toMatch(/without effect on it: VECTOR_BACKUP_KEEP\. /);
  await second.close();
  const { code, answer } = await schedule();
  expect([code, answer!.is_kept, job(answer).state]).toEqual([0, false, 'paused']);
  expect(job(answer).last).toEqual(answer && job(asked.answer).last);
});
