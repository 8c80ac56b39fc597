import { homedir } from 'node:os';
import type { Config } from '../../config.js';
import { isCoded } from '../../domain/errors.js';
import { VARIABLES } from '../../variables.js';
import { VERSION } from '../../version.js';
import { usage } from '../arguments.js';
import type { Call } from '../command.js';
import { checkClients } from '../doctor/clients.js';
import { type Finding, fail, ok } from '../doctor/finding.js';
import { checkClassicLevel, checkIndexEngine, checkNode } from '../doctor/runtime.js';
import { checkTechnology, checkUpdates } from '../doctor/technology.js';
import { configOf } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { printable, say, sayJson, styler } from '../printing.js';

const COLOUR = { ok: 'green', warn: 'yellow', fail: 'red' } as const;

/** `doctor`: every check in turn, each printed as soon as it is done. Exit 1 where one failed. */
export default async function doctor(call: Call): Promise<number> {
  const found: Finding[] = [];
  const report = (...findings: Finding[]) => {
    found.push(...findings);
    if (!call.has('json')) for (const finding of findings) print(finding);
  };
  if (!call.has('json')) say(`mcp-vector-server ${VERSION}`);
  report(checkNode(), ...checkTechnology(), checkClassicLevel());
  const config = readConfiguration(call, report);
  if (config !== undefined) {
    report(checkIndexEngine(config.indexEngine));
    const [{ checkModel }, { checkStore }] = await Promise.all([
      import('../doctor/model.js'),
      import('../doctor/store.js'),
    ]);
    report(await checkModel(config));
    report(...(await checkStore(config.storePath)));
  }
  report(...checkClients(thisMachine(), process.env));
  if (call.has('updates')) report(await checkUpdates());
  if (call.has('repair')) return repair(call, config, found);
  if (call.has('yes')) throw usage({ name: 'doctor' }, '--yes goes with --repair');
  const failed = found.filter(f => f.state === 'fail').length;
  const warned = found.filter(f => f.state === 'warn').length;
  if (call.has('json')) sayJson({ version: VERSION, sound: failed === 0, findings: found });
  else {
    say();
    say(failed === 0 && warned === 0 ? 'All well.' : `${failed} failed, ${warned} to look at.`);
  }
  return failed === 0 ? EXIT.ok : EXIT.unsound;
}

/** Shows what would be mended, then does it if that is wanted. Exit 1 where something stays to be done. */
async function repair(call: Call, config: Config | undefined, found: readonly Finding[]): Promise<number> {
  const { findRepairs } = await import('../doctor/repairs.js');
  const ofStore = ['store', 'log', 'head proof'];
  const isSound = found.every(({ check, state }) => state !== 'fail' || !ofStore.includes(check));
  const repairs = findRepairs(config, isSound, thisMachine(), process.env);
  const json = call.has('json');
  if (!json) {
    say();
    if (repairs.length === 0) say('Nothing can be mended from here.');
    for (const { what } of repairs) say(`mend  ${what}`);
  }
  const isWanted = repairs.length > 0 && (call.has('yes') || (!json && (await isConfirmed(repairs.length))));
  const outcomes: { what: string; done: boolean; note?: string }[] = [];
  for (const { what, mend } of repairs) {
    if (!isWanted) {
      outcomes.push({ what, done: false });
      continue;
    }
    try {
      const note = await mend();
      outcomes.push({ what, done: true, ...(note === undefined ? {} : { note }) });
      if (!json) say(`done  ${what}${note === undefined ? '' : ` (${note})`}`);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const note = isCoded(error) ? `${error.code}: ${error.message}` : error.message;
      outcomes.push({ what, done: false, note });
      if (!json) say(`left  ${what}: ${note}`);
    }
  }
  if (json) sayJson({ version: VERSION, findings: found, repairs: outcomes });
  else if (repairs.length > 0 && !isWanted) say('Nothing was changed. Add --yes to do it.');
  return outcomes.every(({ done }) => done) ? EXIT.ok : EXIT.unsound;
}

/** Asks at a terminal; elsewhere nobody is there to answer. */
async function isConfirmed(repairs: number): Promise<boolean> {
  if (process.stdin.isTTY !== true || process.stdout.isTTY !== true) return false;
  const { createInterface } = await import('node:readline/promises');
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await terminal.question(`Do ${repairs === 1 ? 'it' : 'them'}? [y/N] `);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    terminal.close();
  }
}

const thisMachine = () => ({ platform: process.platform, home: homedir(), cwd: process.cwd() });

function readConfiguration(call: Call, report: (finding: Finding) => void): Config | undefined {
  try {
    const config = configOf(call);
    const set = VARIABLES.map(v => v.name).filter(name => process.env[name]);
    report(ok('configuration', set.length === 0 ? 'all defaults' : `${set.join(', ')} set`));
    return config;
  } catch (error) {
    if (!isCoded(error)) throw error;
    report(
      fail(
        'configuration',
        `${error.message} (index engine, embedder and store are not checked)`,
        error.wayOut,
      ),
    );
    return undefined;
  }
}

function print({ check, state, message, wayOut }: Finding): void {
  const style = styler(process.stdout);
  say(`${style(COLOUR[state], state.padEnd(4))}  ${check.padEnd(14)}  ${printable(message)}`);
  if (wayOut !== undefined)
    say(`      ${''.padEnd(14)}  ${style('bold', 'what to do:')} ${printable(wayOut)}`);
}
