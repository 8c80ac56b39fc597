import { homedir } from 'node:os';
import { type Config, VARIABLES } from '../../config.js';
import { isCoded } from '../../domain/errors.js';
import { VERSION } from '../../version.js';
import type { Call } from '../command.js';
import { checkClients } from '../doctor/clients.js';
import { type Finding, fail, ok } from '../doctor/finding.js';
import { checkClassicLevel, checkIndexEngine, checkNode } from '../doctor/runtime.js';
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
  report(checkNode(), checkClassicLevel());
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
  report(...checkClients({ platform: process.platform, home: homedir(), cwd: process.cwd() }, process.env));
  const failed = found.filter(f => f.state === 'fail').length;
  const warned = found.filter(f => f.state === 'warn').length;
  if (call.has('json')) sayJson({ version: VERSION, sound: failed === 0, findings: found });
  else {
    say();
    say(failed === 0 && warned === 0 ? 'All well.' : `${failed} failed, ${warned} to look at.`);
  }
  return failed === 0 ? EXIT.ok : EXIT.unsound;
}

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
