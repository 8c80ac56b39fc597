// `npm run test:systemd`: the service under a real systemd, booted in namespaces on a copy of this machine's file system that is gone
// afterwards. Linux, root; systemd must be installed, and need not run. Takes three minutes, most of it waiting for the watchdog.
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const SERVICE = 'mcp-vector-server';
const HOME = `/var/lib/${SERVICE}`;
const STORE = `${HOME}/store`;
const PORT = '3097';
const USER = 'somebody';
/** The service's watchdog, its restart, and time to open. */
const WATCHDOG_MS = 110_000;
/** Enough for a graph, which native threads build. */
const ITEMS = 4000;

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const mine = join(root, 'dist/src/cli/main.js');
const installed = `${HOME}/current/node_modules/${SERVICE}/dist/src/cli/main.js`;
const execute = promisify(execFile);

if (process.platform !== 'linux' || process.getuid() !== 0) {
  console.error('This needs Linux, and root: sudo npm run test:systemd');
  process.exit(2);
}
const space = mkdtempSync(join(tmpdir(), 'systemd-'));
const boot = spawn(
  'unshare',
  [
    '--pid',
    '--mount',
    '--uts',
    '--ipc',
    '--cgroup',
    '--fork',
    join(root, 'scripts/boot-systemd.sh'),
    space,
    root,
  ],
  { stdio: ['ignore', 'inherit', 'inherit'] },
);
let failed = 0;

async function check() {
  await until(
    'systemd is up',
    async () => (await inside(['systemctl', 'is-system-running'])).out.trim() === 'running',
    30_000,
  );

  // A version like this one and later, and one that cannot even start. Not in /tmp: systemd empties it as it boots.
  await must('copies of the program', await inside(['sh', '-c', copies()]));

  await must('service install --system', await own(['service', 'install', '--system', '--', '--port', PORT]));
  const verified = await inside(['systemd-analyze', 'verify', `/etc/systemd/system/${SERVICE}.service`]);
  holds(
    'systemd-analyze verify finds nothing',
    verified.code === 0 && verified.err.trim() === '',
    verified.err,
  );
  const { out: security } = await inside(['systemd-analyze', 'security', '--no-pager', `${SERVICE}.service`]);
  console.log(`      ${security.trim().split('\n').at(-1)}`);

  await must('service start', await own(['service', 'start']));
  holds(
    'it is active, and says what it serves',
    /serving MCP at http/.test(await property('StatusText')) && (await property('ActiveState')) === 'active',
  );
  const status = await readStatus();
  holds('no new privileges', status.NoNewPrivs === '1');
  holds('system calls are filtered', status.Seccomp === '2');
  holds('no capabilities', /^0+$/.test(status.CapEff) && /^0+$/.test(status.CapBnd));
  holds('it is not root', status.Uid.split(/\s+/)[0] !== '0');
  holds(
    'it cannot write outside of its directories',
    /Read-only file system/.test((await inMounts(['touch', '/usr/written'])).err),
  );
  holds('it does not see /root', /Permission denied/.test((await inMounts(['ls', '/root'])).err));

  const points = Array.from({ length: ITEMS }, (_, at) =>
    JSON.stringify({ id: at + 1, vector: vectorOf(at), payload: { document: `number ${at}` } }),
  );
  await inside(['tee', '/tmp/points.json'], points.join('\n'));
  await must(
    'import beside it',
    await asService(['import', '/tmp/points.json', '--format', 'qdrant', '-c', 'many', '--store', STORE]),
  );
  await must(
    'upsert: a text is embedded',
    await asService(['upsert', 'the harbour closes at nine', '-c', 'notes', '--store', STORE]),
  );
  await until(
    'threads build a graph under the filter of system calls',
    async () => {
      const { collections } = JSON.parse((await asService(['status', '--json', '--store', STORE])).out);
      const many = collections.find(({ name }) => name === 'many');
      return many.items === ITEMS && many.index.kind !== 'exact' && many.index.pending === 0;
    },
    60_000,
  );
  holds('search answers', await isFound());

  await killAnd('SIGKILL', 1, 'kill -9: it is back by itself', 30_000);
  await killAnd('SIGSTOP', 2, 'it hangs: the watchdog ends it, and it is back', WATCHDOG_MS);

  for (let time = 1; time <= 6; time++) await must('service restart', await own(['service', 'restart']));
  const broken = await own(['update', '--apply', '/srv/broken.tgz']);
  holds('an update to a version that does not start fails', broken.code === 1, broken.out + broken.err);
  holds('… and the old one serves the old data', (await version()) === now() && (await isFound()));
  await must('update --apply to a later version', await own(['update', '--apply', '/srv/later.tgz']));
  holds('… it serves the same data', (await version()) === `${now()}1` && (await isFound()));
  await must('update --rollback', await own(['update', '--rollback']));
  holds('… the old version serves it', (await version()) === now() && (await isFound()));

  await must('service stop', await own(['service', 'stop']));
  holds(
    'it ended well',
    (await property('Result')) === 'success' && (await property('ActiveState')) === 'inactive',
  );
  const sound = await asService(['verify', '--store', STORE]);
  holds('verify is content', sound.code === 0, sound.out);
  await must('service uninstall', await own(['service', 'uninstall']));
  holds('its unit is gone', (await property('LoadState')) === 'not-found');
}

/** The unit of a user, below a manager of this user's own, which a login would start. */
async function checkUser() {
  await must('a user', await inside(['useradd', '--create-home', USER]));
  const uid = (await inside(['id', '--user', USER])).out.trim();
  const runtime = `/run/user/${uid}`;
  await must(
    '… with a manager',
    await inside(['systemctl', 'start', `user-runtime-dir@${uid}`, `user@${uid}`]),
  );
  const as = (command, input) =>
    inside(
      [
        'runuser',
        '-u',
        USER,
        '--',
        'env',
        '-i',
        `PATH=${process.env.PATH}`,
        `HOME=/home/${USER}`,
        `XDG_RUNTIME_DIR=${runtime}`,
        ...command,
      ],
      input,
    );
  const own = args => as([process.execPath, mine, ...args]);
  const show = async property =>
    (await as(['systemctl', '--user', 'show', '--property', property, '--value', SERVICE])).out.trim();
  // What was installed for the system: whole, so that no network is needed.
  const tree = `cp -aL ${HOME}/current /srv/tree && chmod -R a+rX /srv/tree`;
  await must('a copy of it', await inside(['sh', '-c', tree]));
  await must(
    'service install, for a user',
    await own(['service', 'install', '--from', '/srv/tree', '--', '--port', PORT]),
  );
  await must('service start', await own(['service', 'start']));
  await must('upsert beside it', await own(['upsert', 'the quarry is closed', '-c', 'notes']));
  await inside(['kill', '-KILL', await show('MainPID')]);
  await until(
    'kill -9: it is back by itself',
    async () => (await show('NRestarts')) === '1' && (await show('ActiveState')) === 'active',
    30_000,
  );
  const { out } = await own(['search', 'quarry', '-c', 'notes', '--json']);
  holds('… with what was written', JSON.parse(out).results[0]?.text === 'the quarry is closed');
  for (let time = 1; time <= 6; time++) await must('service restart', await own(['service', 'restart']));
  await must('service logs', await own(['service', 'logs']));
  await must('service uninstall', await own(['service', 'uninstall']));
  holds('its unit is gone', (await show('LoadState')) === 'not-found');
}

async function killAnd(signal, restarts, what, withinMs) {
  const before = await property('MainPID');
  await inside(['kill', `-${signal}`, before]);
  await until(
    what,
    async () =>
      (await property('NRestarts')) === String(restarts) && (await property('ActiveState')) === 'active',
    withinMs,
  );
  holds('… with all that was written', await isFound());
}

async function isFound() {
  const { out } = await asService([
    'search',
    'when does the harbour close',
    '-c',
    'notes',
    '--json',
    '--store',
    STORE,
  ]);
  return JSON.parse(out).results[0]?.text === 'the harbour closes at nine';
}

async function version() {
  const { out } = await inside(['curl', '--silent', `http://127.0.0.1:${PORT}/ready`]);
  if (out === '') throw new Error('it does not answer');
  return JSON.parse((await own(['service', 'status', '--json'])).out).version;
}

const now = () => JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version;

/** A script that makes /srv/later.tgz, whose version is this one's with a 1 behind it, and /srv/broken.tgz. */
function copies() {
  const copy = name =>
    `mkdir -p /srv/${name} && cd ${root} && cp -a package.json README.md dist assets wal docs tools CHANGELOG.md LICENSE /srv/${name}/ && sed -i 's/"version": "${now()}"/"version": "${now()}1"/' /srv/${name}/package.json`;
  const pack = name => `cd /srv/${name} && npm pack --ignore-scripts --silent && mv *.tgz /srv/${name}.tgz`;
  const breaking = "echo 'process.exit(1)' > /srv/broken/dist/src/cli/main.js";
  return `${copy('later')} && ${pack('later')} && ${copy('broken')} && ${breaking} && ${pack('broken')}`;
}

const vectorOf = at => Array.from({ length: 16 }, (_, axis) => Math.cos(at * (axis + 1)));

const property = async name =>
  (await inside(['systemctl', 'show', '--property', name, '--value', SERVICE])).out.trim();

/** /proc/PID/status of the server, by field. */
async function readStatus() {
  const { out } = await inside(['cat', `/proc/${await property('MainPID')}/status`]);
  return Object.fromEntries(out.split('\n').map(line => line.split(':\t').map(part => part.trim())));
}

/** As whoever installs it: root. */
const own = args => inside([process.execPath, mine, ...args]);

/** By the program that was installed, as the service's user. */
const asService = (args, input) =>
  inside(
    [
      'runuser',
      '-u',
      SERVICE,
      '--',
      'env',
      '-i',
      `PATH=${process.env.PATH}`,
      `HOME=${HOME}`,
      `XDG_RUNTIME_DIR=/run/${SERVICE}`,
      process.execPath,
      installed,
      ...args,
    ],
    input,
  );

/** In the file system that the server sees. */
const inMounts = async command =>
  inside([
    'nsenter',
    '-t',
    await property('MainPID'),
    '-m',
    '--',
    'setpriv',
    `--reuid=${SERVICE}`,
    `--regid=${SERVICE}`,
    '--clear-groups',
    ...command,
  ]);

/** A command in the namespaces of the booted systemd. */
async function inside(command, input) {
  const [init] = childrenOf(boot.pid);
  if (init === undefined) throw new Error('systemd does not run');
  const args = [
    '-t',
    String(init),
    '-p',
    '-m',
    '-u',
    '-i',
    '-C',
    'env',
    '-i',
    `PATH=${process.env.PATH}`,
    'HOME=/root',
    ...command,
  ];
  const run = execute('nsenter', args, { maxBuffer: 2 ** 26, timeout: 180_000 });
  run.child.stdin.end(input);
  try {
    const { stdout, stderr } = await run;
    return { code: 0, out: stdout, err: stderr };
  } catch (error) {
    return { code: error.code ?? -1, out: error.stdout ?? '', err: error.stderr ?? String(error) };
  }
}

function childrenOf(pid) {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

function holds(what, does, said = '') {
  console.log(`${does ? 'ok    ' : 'FAILED'}${does ? '' : ' '}${what}`);
  if (does) return;
  failed++;
  if (said !== '') console.log(said);
}

async function must(what, { code, out, err }) {
  holds(what, code === 0, out + err);
  if (code !== 0) throw new Error(`${what}: exit ${code}`);
}

async function until(what, isSo, withinMs) {
  for (const deadline = Date.now() + withinMs; Date.now() < deadline; ) {
    if (await isSo().catch(() => false)) return holds(what, true);
    await new Promise(resolve => setTimeout(resolve, 500));
  }
  const { out } = await inside(['journalctl', '--no-pager', '-n', '30']);
  holds(what, false, out);
  throw new Error(`${what}: not within ${withinMs} ms`);
}

try {
  await check();
  await checkUser();
} catch (error) {
  failed++;
  console.error(`failed: ${error.stack}`);
} finally {
  for (const pid of childrenOf(boot.pid)) process.kill(pid, 'SIGKILL');
  boot.kill('SIGKILL');
  rmSync(space, { recursive: true, force: true });
}
console.log(failed === 0 ? 'all of it holds' : `${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
