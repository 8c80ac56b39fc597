/** A process with the service's user's rights works on its files, and asks one of root's to stop and start the service. */
import { fork } from 'node:child_process';
import type { Prefix, ServiceNote } from '../update/prefix.js';
import { controlOf, type ServiceControl, serviceFailed } from './control.js';
import { gidOf, uidOf } from './install.js';

type Operation = keyof ServiceControl;
/** Tells the child that its parent answers. */
const MARK = 'MCP_VECTOR_SERVICE_CONTROL';

interface Question {
  readonly id: number;
  readonly operation: Operation;
}
interface Reply {
  readonly id: number;
  readonly value?: boolean | number | undefined;
  readonly error?: string;
}

const OPERATIONS: readonly Operation[] = ['isRunning', 'pid', 'start', 'stop'];

/** Root's part: runs the command again as the service's user. @returns its exit code */
export function controlFor(prefix: Prefix, service: ServiceNote, argv: readonly string[]): Promise<number> {
  const control = controlOf(prefix, service);
  // The named prefix is found already, and by its whole path it is the same from everywhere.
  const child = fork(prefix.currentMain, [...withoutOption(argv, '--prefix'), '--prefix', prefix.dir], {
    uid: uidOf(service.user!),
    gid: gidOf(service.user!),
    env: { PATH: process.env.PATH, HOME: prefix.dir, TMPDIR: prefix.dir, [MARK]: '1' },
    execArgv: [],
  });
  child.on('message', (question: Question) => {
    if (!OPERATIONS.includes(question.operation)) return;
    void control[question.operation]().then(
      value => child.send({ id: question.id, value: value ?? undefined } satisfies Reply, () => {}),
      (error: Error) => child.send({ id: question.id, error: error.message } satisfies Reply, () => {}),
    );
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', code => resolve(code ?? 2));
  });
}

function withoutOption(argv: readonly string[], name: string): string[] {
  const at = argv.findIndex(word => word === name || word.startsWith(`${name}=`));
  if (at < 0) return [...argv];
  return [...argv.slice(0, at), ...argv.slice(at + (argv[at] === name ? 2 : 1))];
}

/** The child's part; undefined where nobody was asked to answer. */
export function ipcControl(env: NodeJS.ProcessEnv = process.env): ServiceControl | undefined {
  if (env[MARK] !== '1' || process.send === undefined) return undefined;
  let next = 1;
  const ask = (operation: Operation): Promise<boolean | number | undefined> =>
    new Promise((resolve, reject) => {
      const id = next++;
      const gone = () =>
        reject(serviceFailed('whoever stops and starts the service has ended', 'Repeat it with sudo.'));
      const take = (reply: Reply) => {
        if (reply.id !== id) return;
        process.off('message', take);
        process.off('disconnect', gone);
        // An open channel would keep the process alive at its end.
        process.channel?.unref();
        if (reply.error === undefined) resolve(reply.value);
        else reject(serviceFailed(reply.error, 'See `mcp-vector-server service logs`.'));
      };
      process.on('message', take);
      process.once('disconnect', gone);
      process.channel?.ref();
      process.send!({ id, operation } satisfies Question);
    });
  return {
    isRunning: async () => (await ask('isRunning')) === true,
    pid: async () => (await ask('pid')) as number | undefined,
    start: async () => void (await ask('start')),
    stop: async () => void (await ask('stop')),
  };
}
