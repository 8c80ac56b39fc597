import { configOf } from '../src/cli/engine.js';
import { EXIT } from '../src/cli/exit-codes.js';
import { count, describeOrigin, say, sayJson, size, styler } from '../src/cli/printing.js';
import { ProgressLine } from '../src/cli/progress-line.js';
import { JSON_OPTION, runProgram, STORE_OPTION } from './program.js';

const SHOWN_FINDINGS = 50;

/** `tools/verify`, `mcp-vector-server verify`: exit 0 sound, 1 damaged, 2 could not run. */
export function main(argv: string[]): Promise<number> {
  const command = {
    name: 'verify',
    summary: 'Walk the whole log and report every finding. Changes nothing.',
    usage: '[options]',
    details: [
      'Checks LevelDB’s files block by block, every record’s hash, sequence, chain and times, transactions, the head proof,',
      'what the events say, the checkpoints, and what was cut off into quarantine. Exit 0: sound. 1: damaged. 2: could not run, for example because a server',
      'has the store open.',
    ].join('\n'),
    options: {
      backups: {
        type: 'string',
        value: 'DIR',
        meaning:
          'Compare with the newest backup there: a whole older copy of a store is told by nothing else.',
      },
      ...STORE_OPTION,
      ...JSON_OPTION,
    },
    positionals: { min: 0, max: 0 },
  } as const;
  return runProgram(command, argv, async call => {
    const { verifyStore } = await import('../src/engine/verify.js');
    const progress = new ProgressLine(process.stderr, { unit: 'records' });
    const report = await verifyStore(configOf(call).storePath, {
      backups: call.text('backups'),
      onProgress: step => progress.show(step),
    });
    progress.end();
    if (call.has('json')) sayJson(report);
    else sayReport(report);
    return report.sound ? EXIT.ok : EXIT.unsound;
  });
}

type Report = Awaited<ReturnType<typeof import('../src/engine/verify.js')['verifyStore']>>;

function sayReport(report: Report): void {
  const style = styler(process.stdout);
  const { first, head, findings } = report;
  say(`store     ${report.storePath}${report.storeId === undefined ? '' : ` (${report.storeId})`}`);
  say(
    `log       ${count(report.records, 'record')}, ${count(report.transactions, 'transaction')}, ${size(report.bytes)}` +
      (first && head ? `, ${first.time} to ${head.time}` : ''),
  );
  if (head) say(`head      ${head.seq}  ${head.hash}`);
  if (report.forkedFrom) say(`lineage   ${describeOrigin(report.forkedFrom)}`);
  for (const { epoch, seq, time, cut } of report.epochs)
    say(
      `epoch     ${epoch} since ${seq}  ${time}` +
        (cut.seq < seq ? '' : `; it was cut off: ${seq} to ${cut.seq}  ${cut.hash}`),
    );
  for (const { from, to } of report.gaps)
    say(`lost      ${from === to ? from : `${from} to ${to}`}, acknowledged by a repair`);
  if (report.pendingCut)
    say(
      `cut       begun after ${report.pendingCut.after}, and interrupted: the next start of the server finishes it`,
    );
  for (const { path, sound, first, last } of report.quarantines)
    say(
      `kept      ${path}${first === undefined ? '' : `  (${first} to ${last})`}${sound ? '' : '  damaged'}`,
    );
  if (report.coverage !== undefined) {
    const { path, backup, last, missing } = report.coverage;
    say(
      backup === undefined || last === undefined
        ? `backups   none in ${path}`
        : `backups   ${path}: ${backup} holds 1 to ${last.seq}, until ${last.time}; ${count(missing, 'record')} behind`,
    );
  }
  const caches = report.checkpoints.map(({ seq, sound }) => `${seq}${sound ? '' : ' damaged'}`);
  say(`caches    ${caches.length === 0 ? 'no checkpoint' : `checkpoint ${caches.join(', ')}`}`);
  if (report.sound) {
    say(style('green', 'sound'));
    return;
  }
  say(style('red', `damaged: ${count(findings.length, 'finding')}`));
  for (const { code, seq, file, message } of findings.slice(0, SHOWN_FINDINGS))
    say(
      `  ${code}${seq === undefined ? '' : ` at ${seq}`}${file === undefined ? '' : ` in ${file}`}: ${message}`,
    );
  if (findings.length > SHOWN_FINDINGS)
    say(`  … and ${findings.length - SHOWN_FINDINGS} more: --json has them all`);
  say(
    'What to do: keep a copy of the whole store directory before anything else touches it, then see what tools/repair would save.',
  );
  if (findings.every(({ code }) => code === 'BACKUP_DIVERGED'))
    say(
      'All that is there is sound, but the backup is of another history: the store lost records, or is an older copy.',
    );
  if (findings.every(({ code }) => code === 'QUARANTINE_DAMAGED'))
    say('Only what was cut off earlier is concerned: the store itself is sound.');
  if (findings.every(({ code }) => code.startsWith('CHECKPOINT_')))
    say(
      'Only checkpoints are concerned: they are caches, and the next start of the server rebuilds them from the log.',
    );
}
