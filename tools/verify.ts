import { resolve } from 'node:path';
import { usage } from '../src/cli/arguments.js';
import type { Call } from '../src/cli/command.js';
import { configOf, contextOf } from '../src/cli/engine.js';
import { EXIT } from '../src/cli/exit-codes.js';
import { sayJson } from '../src/cli/printing.js';
import { ProgressLine } from '../src/cli/progress-line.js';
import type { VerifyLevel } from '../src/domain/verify.js';
import { reachStore } from '../src/local/reach.js';
import { JSON_OPTION, runProgram, STORE_OPTION } from './program.js';
import { sayOffline, sayOnline } from './verify-answers.js';

const COMMAND = {
  name: 'verify',
  summary: 'Verify a store and report every finding, with what to do about it. Changes nothing of it.',
  usage: '[--quick | --deep] [options]',
  details: [
    'Checks LevelDB’s files block by block, every record’s hash, sequence, chain and times, transactions, the head proof, what the events say,',
    'what LevelDB gives against what its files hold, the checkpoints against the log, and what was cut off into quarantine.',
    'Beside a running server, that server verifies its log and goes on working. When the whole log was verified, and what was found, is noted for `health`.',
    '',
    'Exit 0: sound. 1: damaged. 2: could not run.',
    '',
    'Examples:',
    '  tools/verify                               every record',
    '  tools/verify --quick                       files, head proof and the end of the log, in a moment',
    '  tools/verify --deep                        every byte of every file, with the server stopped',
    '  tools/verify --backups /backups/memory     also: what backups hold beyond it, and lack',
    '  tools/verify --rate 20                     beside a server: at 20 MB a second',
  ].join('\n'),
  options: {
    quick: {
      type: 'boolean',
      meaning: 'Only the files, the head proof, the end of the log, and the names and sizes of checkpoints.',
    },
    deep: {
      type: 'boolean',
      meaning:
        'Also every file of LevelDB whole, every record by LevelDB, and the newest checkpoint against one built anew.',
    },
    backups: {
      type: 'string',
      value: 'DIR',
      meaning: 'Compare with the newest backup there: a whole older copy of a store is told by nothing else.',
    },
    rate: {
      type: 'string',
      value: 'MB',
      meaning: 'Beside a server: read at most so many megabytes a second. Default: as fast as it goes.',
    },
    ...STORE_OPTION,
    ...JSON_OPTION,
  },
  positionals: { min: 0, max: 0 },
} as const;

/** `tools/verify`, `mcp-vector-server verify`: exit 0 sound, 1 damaged, 2 could not run. */
export function main(argv: string[]): Promise<number> {
  return runProgram(COMMAND, argv, async call => {
    if (call.has('quick') && call.has('deep')) throw usage(COMMAND, '--quick does not go with --deep');
    if (call.has('deep') && call.has('rate'))
      throw usage(COMMAND, '--rate is for a running server, and --deep for one that is stopped');
    const level = call.has('quick') ? 'quick' : call.has('deep') ? 'deep' : 'full';
    const progress = new ProgressLine(process.stderr, { unit: 'records' });
    try {
      return await verify(call, level, progress);
    } finally {
      progress.end();
    }
  });
}

async function verify(call: Call, level: VerifyLevel, progress: ProgressLine): Promise<number> {
  const { storePath } = configOf(call);
  const rate = rateOf(call);
  const dir = call.text('backups');
  const backups = dir === undefined ? undefined : resolve(dir);
  const alone = async () => {
    const { verifyApart } = await import('../src/engine/verify-apart.js');
    return verifyApart(storePath, { level, backups, onProgress: step => progress.show(step) });
  };
  const reached = level === 'deep' ? { own: await alone() } : await reachStore(storePath, alone);
  if ('own' in reached) {
    progress.end();
    if (call.has('json')) sayJson({ mode: 'offline', ...reached.own });
    else sayOffline(reached.own);
    return reached.own.sound ? EXIT.ok : EXIT.unsound;
  }
  const { engine } = reached;
  try {
    const stop = new AbortController();
    process.once('SIGINT', () => stop.abort());
    const answer = await engine.verify(
      {
        level: level === 'quick' ? 'quick' : 'full',
        ...(rate !== undefined && { bytes_per_second: rate }),
        ...(backups !== undefined && { backups }),
      },
      contextOf('verify', { signal: stop.signal, onProgress: step => progress.show(step) }),
    );
    progress.end();
    const { verification } = await engine.status({}, contextOf('verify'));
    const sound = answer.findings.length === 0;
    if (call.has('json')) sayJson({ mode: 'online', sound, ...answer, verification });
    else sayOnline(answer, verification);
    return sound ? EXIT.ok : EXIT.unsound;
  } finally {
    await engine.close();
  }
}

/** Bytes a second; undefined where no bound was asked for. */
function rateOf(call: Call): number | undefined {
  const text = call.text('rate');
  if (text === undefined) return undefined;
  const megabytes = Number(text);
  if (!(megabytes >= 0.1 && megabytes <= 10_000))
    throw usage(COMMAND, '--rate: give megabytes a second, 0.1 to 10000');
  return megabytes * 1_000_000;
}
