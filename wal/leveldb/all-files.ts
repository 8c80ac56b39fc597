/**
 * Every file of a LevelDB directory read whole, whether the database needs it or not: each block's checksum and keys, each table's index,
 * metaindex, filter and footer, each MANIFEST and log. What is wrong with a file that counts is a finding; with one that does not, a note.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { assertFormatError } from './coding.js';
import type { Finding, FindingCode } from './findings.js';
import { Findings } from './findings.js';
import { type LogScan, type RecordSink, scanLogFile } from './log-file.js';
import type { LookedFile, LookReport } from './look.js';
import { assertCanonicalFooter, checkTableBlocks, FOOTER_SIZE, readAt } from './table-file.js';
import { readManifest } from './version-edit.js';

/** What a file has that does not count, or is no damage. */
export interface FileNote {
  readonly code: 'UNREFERENCED_FILE' | 'UNREFERENCED_DAMAGED' | 'TORN_TAIL' | 'UNKNOWN_FILE';
  readonly file: string;
  readonly message: string;
}

/** LevelDB's diary and its lock hold nothing of the log. */
const HOLDS_NOTHING = ['info', 'lock'];

/**
 * @param looked what look() found out about the directory
 * @param known findings about blocks: not told again
 * @param onFile told of each file before it is read
 */
export async function checkAllFiles(
  dir: string,
  looked: LookReport,
  known: readonly Finding[],
  onFile: (name: string) => void = () => {},
): Promise<{ findings: readonly Finding[]; notes: readonly FileNote[] }> {
  const findings: Finding[] = [];
  const notes: FileNote[] = [];
  const isKnown = (file: string, at: string) =>
    [...known, ...looked.findings].some(found => found.file === file && found.message.startsWith(at));
  for (const file of looked.files) {
    if (HOLDS_NOTHING.includes(file.kind)) continue;
    onFile(file.name);
    const found = new Findings();
    await found.attempt(file.name, () => checkFile(dir, file, found, notes));
    if (file.live)
      findings.push(...found.list.filter(({ message }) => !isKnown(file.name, placeOf(message))));
    else notes.push(...noteOf(file, found.list));
  }
  return { findings, notes };
}

/** `000005.ldb: the block at byte 4711`: what is wrong there may be said in other words. Without a place, all of it. */
const placeOf = (message: string): string => /^.*? at byte \d+ /.exec(message)?.[0] ?? message;

async function checkFile(dir: string, file: LookedFile, found: Findings, notes: FileNote[]): Promise<void> {
  const path = join(dir, file.name);
  if (file.kind === 'table') await checkTable(path, file, found);
  else if (file.kind === 'log')
    reportScan(file, await scanLogFile(path, NOBODY), 'LOG_DAMAGED', found, notes);
  else if (file.kind === 'manifest') {
    const { problems, scan } = await readManifest(path);
    for (const problem of problems) found.add('MANIFEST_DAMAGED', file.name, `${file.name}: ${problem}`);
    if (scan.tornTail?.silent) noteTorn(file, scan, notes);
  }
}

async function checkTable(path: string, { name }: LookedFile, found: Findings): Promise<void> {
  try {
    for await (const { offset, problem, firstSeq } of checkTableBlocks(path))
      if (problem !== undefined)
        found.add('TABLE_DAMAGED', name, `${name}: the block at byte ${offset} ${problem}`, firstSeq);
    await checkFooter(path);
  } catch (error) {
    assertFormatError(error);
    found.add('TABLE_DAMAGED', name, `${name} ${error.message}`);
  }
}

/**
 * The footers of live tables, as LevelDB would have written them. The look at opening is content with any that says the right thing, as LevelDB
 * is: a bit of theirs that flipped and changes nothing is told here, and keeps nobody from the store.
 * @param found tables that are found damaged otherwise are among its findings or those of the look
 */
export async function checkFooters(dir: string, looked: LookReport, found: Findings): Promise<void> {
  const damaged = new Set([...looked.findings, ...found.list].map(({ file }) => file));
  for (const { name, kind, live } of looked.files) {
    if (kind !== 'table' || !live || damaged.has(name)) continue;
    try {
      await found.attempt(name, () => checkFooter(join(dir, name)));
    } catch (error) {
      assertFormatError(error);
      found.add('TABLE_DAMAGED', name, `${name} ${error.message}`);
    }
  }
}

async function checkFooter(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    assertCanonicalFooter(await readAt(file, size - FOOTER_SIZE, FOOTER_SIZE));
  } finally {
    await file.close();
  }
}

const NOBODY: RecordSink = { begin() {}, part() {}, end() {}, abandon() {} };

function reportScan(
  file: LookedFile,
  scan: LogScan,
  code: FindingCode,
  found: Findings,
  notes: FileNote[],
): void {
  for (const { offset, reason } of scan.damage)
    found.add(code, file.name, `${file.name}: at byte ${offset} ${reason}`);
  // Of a live log the look has told.
  if (scan.tornTail !== undefined && !file.live) noteTorn(file, scan, notes);
}

function noteTorn({ name }: LookedFile, { tornTail }: LogScan, notes: FileNote[]): void {
  notes.push({
    code: 'TORN_TAIL',
    file: name,
    message: `the last entry of ${name} is cut off at byte ${tornTail!.offset}: what a crash leaves`,
  });
}

function noteOf({ name, kind }: LookedFile, found: readonly Finding[]): FileNote[] {
  const what =
    kind === 'other' || kind === 'temp'
      ? `${name} is no file that the log needs`
      : `${name} does not count: LevelDB removes it when it opens the log the next time`;
  const code = kind === 'other' ? 'UNKNOWN_FILE' : 'UNREFERENCED_FILE';
  return [
    { code, file: name, message: what },
    ...found.map(({ message }) => ({ code: 'UNREFERENCED_DAMAGED' as const, file: name, message })),
  ];
}
