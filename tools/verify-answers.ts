/** What `verify` prints for people. */
import { verifiedLine } from '../src/cli/commands/status.js';
import { count, describeOrigin, oneLine, say, size, styler } from '../src/cli/printing.js';
import type {
  Coverage,
  Finding,
  NextStep,
  RestorableWindow,
  VerificationStatus,
  VerifyAnswer,
  VerifyLevel,
} from '../src/domain/verify.js';
import type { CheckpointReport, VerifyReport } from '../src/engine/verify.js';

const SHOWN_FINDINGS = 50;

const LEVELS: Readonly<Record<VerifyLevel, string>> = {
  quick: 'quick: files, head proof, and the end of the log',
  full: 'every record',
  deep: 'deep: every record, and every byte of every file',
};

export function sayOffline(report: VerifyReport): void {
  const { first, head } = report;
  say(`store     ${report.storePath}${report.storeId === undefined ? '' : ` (${report.storeId})`}`);
  say(`level     ${LEVELS[report.level]}; no server ran`);
  sayRange(report.range, report.level);
  say(
    `log       ${count(report.records, 'record')}, ${count(report.transactions, 'transaction')}, ${size(report.bytes)}` +
      (first && head ? `, ${first.time} to ${head.time}` : ''),
  );
  if (head) say(`head      ${head.seq}  ${head.hash}`);
  if (report.compared !== undefined)
    say(
      `leveldb   gives ${count(report.compared, 'record')}${report.compared < report.records ? ', a sample,' : ''} as its files hold them, by key and by iteration`,
    );
  if (report.forkedFrom) say(`lineage   ${describeOrigin(report.forkedFrom)}`);
  for (const { epoch, seq, time, cut } of report.epochs)
    say(
      `epoch     ${epoch} since ${seq}  ${time}` +
        (cut.seq < seq ? '' : `; it was cut off: ${seq} to ${cut.seq}  ${cut.hash}`),
    );
  for (const { from, to } of report.gaps)
    say(`lost      ${from}${from === to ? '' : ` to ${to}`}, acknowledged by a repair`);
  if (report.erased > 0) say(`erased    the contents of ${count(report.erased, 'record')}, on purpose`);
  if (report.pendingCut)
    say(
      `cut       begun after ${report.pendingCut.after}, and interrupted: the next start of the server finishes it`,
    );
  for (const { path, sound, first, last } of report.quarantines)
    say(
      `kept      ${path}${first === undefined ? '' : `  (${first} to ${last})`}${sound ? '' : '  damaged'}`,
    );
  sayRestorable(report, report.findings.length > 0);
  sayCoverage(report.coverage);
  const caches = report.checkpoints.map(describeCheckpoint);
  say(`caches    ${caches.length === 0 ? 'no checkpoint' : `checkpoint ${caches.join(', ')}`}`);
  if (report.before?.verified !== undefined) {
    const { verified, findings } = report.before;
    say(
      `before    verified to ${verified.seq}  ${verified.hash}  at ${verified.time}${findings.length === 0 ? '' : `; ${count(findings.length, 'finding')}`}`,
    );
  }
  sayOutcome(report);
}

export function sayOnline(answer: VerifyAnswer, verification: VerificationStatus): void {
  const { store, head } = answer;
  say(`store     ${store.path} (${store.id})`);
  say(`level     ${LEVELS[answer.level]}; online, beside the server that has the store`);
  sayRange(answer.range, answer.level);
  say(
    `read      ${count(answer.records, 'record')}, ${count(answer.tables, 'table')} on the disk, ${size(answer.bytes)} in all`,
  );
  say(`head      ${head.seq}  ${head.hash}  ${head.time}`);
  sayRestorable({ ...answer, erased: 0 }, answer.findings.length > 0);
  sayCoverage(answer.coverage);
  say(`online    ${verifiedLine(verification)}`);
  sayOutcome(answer);
}

function sayRange(range: { first: number; last: number } | undefined, level: VerifyLevel): void {
  if (range === undefined) say('checked   no record');
  else
    say(
      `checked   records ${range.first} to ${range.last} one by one${
        level === 'quick' && range.first > 1 ? `; 1 to ${range.first - 1} only as files` : ''
      }`,
    );
}

function sayRestorable(
  { restorable, level, erased }: { restorable: RestorableWindow; level: VerifyLevel; erased: number },
  isDamaged: boolean,
): void {
  const { store, backup } = restorable;
  const but = erased === 0 ? '' : ', but for what was erased';
  const until = ({ seq, time }: { seq: number; time: string }) => `1 to ${seq}, until ${time}`;
  if (store !== undefined) say(`whole     ${until(store)}: any moment of it can be restored${but}`);
  else if (level === 'quick' && !isDamaged) say('whole     not proved at this level');
  else say('whole     nothing is proved to be whole from its beginning');
  if (backup !== undefined) say(`backup    ${until(backup)}: any moment of it can be restored from there`);
}

function sayCoverage(coverage: Coverage | undefined): void {
  if (coverage === undefined) return;
  const { path, backup, last, missing } = coverage;
  say(
    backup === undefined || last === undefined
      ? `backups   none in ${path}`
      : `backups   ${path}: ${backup} holds 1 to ${last.seq}, until ${last.time}; ${count(missing, 'record')} behind`,
  );
}

function describeCheckpoint({ seq, sound, compared }: CheckpointReport): string {
  if (!sound) return `${seq} damaged`;
  if (compared === undefined) return String(seq);
  return `${seq} (${compared === 'all' ? 'as one built anew' : 'its versions are those of the log'})`;
}

function sayOutcome({
  findings,
  notes,
  next,
}: {
  findings: readonly Finding[];
  notes: readonly Finding[];
  next: readonly NextStep[];
}): void {
  const style = styler(process.stdout);
  for (const { code, message } of notes) say(`note      ${code}: ${oneLine(message, 300)}`);
  if (findings.length === 0) {
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
  say('What to do:');
  for (const { codes, step } of next) say(`  ${codes.join(', ')}: ${step}`);
}
