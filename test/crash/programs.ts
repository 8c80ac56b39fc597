/**
 * Programs that the campaign kills, beside a server that is written to or on a store that a killed one left: another one is another
 * entry of PROGRAMS.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { StatusAnswer } from '#src/domain/face.js';
import { overviewOf } from '#src/engine/backup-list.js';
import { verifyBackups } from '#src/engine/backup-verify.js';
import { verifyStore } from '#src/engine/verify.js';
import { openTestEngine, testContext } from '../helpers/engine.js';
import type { Ended, ProgramKiller } from '../helpers/killed-program.js';
import type { McpProcess } from '../helpers/mcp-process.js';
import { filesHolding } from '../helpers/search-bytes.js';

/** What a program is run on, and what it may have to know. */
export interface Ground {
  /** The campaign's directory; the store and the backups are in it. */
  readonly dir: string;
  readonly store: string;
  readonly backups: string;
  readonly random: () => number;
  readonly killer: ProgramKiller;
  /** Counts what became of a run. */
  count(outcome: string): void;
  /** From now on the store may be as it is now, without what is written from here on: the next one that opens says by its epoch. */
  mayBeCut(status: StatusAnswer): void;
  /** Where collections are embedded anew next; changes once that is done. */
  reembedTo: string;
  /** How many items were written to be redacted; each has a name of its own. */
  secrets: number;
}

export interface Program {
  readonly name: string;
  /** How many of a hundred cycles are its own. */
  readonly weight: number;
  /** It may run beside a server, and either of them is killed then; or the server is killed first. */
  readonly mayRunBeside: boolean;
  /** Arguments of the command, its name first. Asked for before anyone writes, while what the server has is known. */
  args(ground: Ground, server: McpProcess): Promise<string[]>;
  /**
   * Once nothing runs any more; the store itself is checked by whoever opens it next.
   * @returns what is wrong
   */
  judge(ground: Ground, ended: Ended): Promise<string[]>;
}

const backup: Program = {
  name: 'backup',
  weight: 9,
  mayRunBeside: true,
  async args({ backups, store, random }) {
    const full = random() < 0.2 ? ['--full'] : [];
    return ['backup', '--to', backups, '--store', store, ...full];
  },
  async judge(ground) {
    if (!existsSync(ground.backups)) return [];
    const { backups, damaged } = overviewOf(ground.backups);
    ground.count(`backups ${backups.length > 0 ? 'to go on with' : 'none yet'}`);
    const wrong = damaged.map(({ problem }) => problem);
    if (backups.length === 0) return wrong;
    const { findings } = await verifyBackups(ground.backups);
    wrong.push(...findings.map(({ message }) => message));
    // The log holds the very record that the newest backup ends with.
    const beside = await verifyStore(ground.store, { backups: ground.backups });
    return [...wrong, ...beside.findings.map(({ code, message }) => `${code}: ${message}`)];
  },
};

const restoreArgs = ({ backups, dir }: Ground) => [
  'restore',
  '--from',
  backups,
  '--to',
  join(dir, 'restored'),
];
const restore: Program = {
  name: 'restore',
  weight: 8,
  mayRunBeside: false,
  async args(ground) {
    const { backups, store, killer } = ground;
    const isThere = existsSync(backups) && overviewOf(backups).backups.length > 0;
    if (!isThere) await killer.run(['backup', '--to', backups, '--store', store]);
    return restoreArgs(ground);
  },
  async judge(ground) {
    const { dir, backups, killer } = ground;
    const restored = join(dir, 'restored');
    const wrong: string[] = [];
    if (!existsSync(restored)) {
      ground.count('restored nothing');
      const { code, stderr } = await killer.run(restoreArgs(ground));
      if (code !== 0) wrong.push(`after a kill: exit ${code} ${stderr}`);
    } else ground.count('restored all');
    const { findings, records } = await verifyStore(restored, { backups });
    wrong.push(...findings.map(({ code, message }) => `restored ${code}: ${message}`));
    const newest = overviewOf(backups).backups.at(-1)!;
    // All of it, and the record that begins the new epoch.
    if (records !== newest.last.seq + 1) wrong.push(`${records} records of ${newest.last.seq}`);
    rmSync(restored, { recursive: true });
    const left = readdirSync(dir).filter(name => name.includes('partial'));
    return left.length === 0 ? wrong : [...wrong, `left behind: ${left.join(', ')}`];
  },
};

const rollback: Program = {
  name: 'rollback',
  weight: 8,
  mayRunBeside: false,
  async args(ground, server) {
    const status = await server.call<StatusAnswer>('vector_status', {});
    ground.mayBeCut(status);
    return ['rollback', '--to', String(status.head.seq), '--truncate', '--yes', '--store', ground.store];
  },
  async judge() {
    return [];
  },
};

const reembed: Program = {
  name: 'reembed',
  weight: 5,
  mayRunBeside: true,
  async args({ store, reembedTo }) {
    return ['reembed', '--to', reembedTo, '--store', store];
  },
  async judge(ground, { code, stderr }) {
    if (code === 0) {
      ground.count('embedded anew');
      ground.reembedTo = ground.reembedTo === 'embedded' ? 'ollama/plain' : 'embedded';
      return [];
    }
    ground.count('embedded anew in part, or not');
    // The switch away from it was cut off the log.
    if (!stderr.includes('REEMBED_OTHER_SPACE')) return [];
    const given = await ground.killer.run(['reembed', '--abandon', '--store', ground.store]);
    return given.code === 0 ? [] : [`abandoning: exit ${given.code} ${given.stderr}`];
  },
};

const horizon: Program = {
  name: 'horizon',
  weight: 4,
  mayRunBeside: true,
  async args({ store }) {
    return ['horizon', '--through', 'now', '--yes', '--store', store];
  },
  async judge() {
    return [];
  },
};

/** Merges the small files that kills have left, among other things. */
const optimize: Program = {
  name: 'optimize',
  weight: 4,
  mayRunBeside: true,
  async args({ store }) {
    return ['optimize', '--store', store];
  },
  async judge() {
    return [];
  },
};

/** The ledger knows nothing of these items: each lives for one cycle. */
const SECRETS = 'secrets';
const secretId = ({ secrets }: Ground) => `secret-${secrets}`;
const secretText = ({ secrets }: Ground) => `xyzzy-${secrets}-plugh`;

const redact: Program = {
  name: 'redact',
  weight: 4,
  mayRunBeside: false,
  async args(ground, server) {
    ground.secrets += 1;
    const item = { id: secretId(ground), text: secretText(ground), vector: [ground.secrets, 1, 1, 1] };
    await server.call('vector_upsert', { collection: SECRETS, items: [item] });
    return ['redact', secretId(ground), '-c', SECRETS, '--yes', '--store', ground.store];
  },
  async judge(ground, { code }) {
    // Whoever opens the store finishes what was begun.
    const engine = await openTestEngine(ground.store);
    const { items } = await engine.get({ collection: SECRETS, ids: [secretId(ground)] }, testContext);
    await engine.close();
    ground.count(items.length > 0 ? 'redaction not begun' : 'redacted');
    if (items.length > 0) return code === 0 ? ['it ended well, and the item is there'] : [];
    return filesHolding(ground.store, [Buffer.from(secretText(ground))]).map(
      file => `${file} holds it still`,
    );
  },
};

export const PROGRAMS: readonly Program[] = [backup, restore, rollback, reembed, horizon, optimize, redact];
