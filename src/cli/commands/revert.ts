import type { RevertCommand } from '../../domain/travel.js';
import { usage } from '../arguments.js';
import type { Call } from '../command.js';
import { contextOf, withEngine } from '../engine.js';
import { takeBack } from '../take-back.js';

/** `revert`: shows what would be taken back, and with --yes takes it back. */
export default async function revert(call: Call): Promise<number> {
  const command = commandOf(call);
  return withEngine(call, { create: false }, engine => takeBack(engine, command, call, contextOf('revert')));
}

function commandOf(call: Call): RevertCommand {
  const ids = call.texts('id');
  const seqs = call.texts('seq').map(text => {
    if (/^[1-9]\d{0,15}$/.test(text)) return Number(text);
    throw usage({ name: 'revert' }, `--seq: ${JSON.stringify(text)} is no sequence number`);
  });
  const given = (name: string, key: string = name) => {
    const value = call.text(name);
    return value === undefined ? {} : { [key]: value };
  };
  return {
    ...given('to'),
    ...given('session'),
    ...given('since'),
    ...given('until'),
    ...given('collection'),
    ...given('plan'),
    ...(ids.length === 0 ? {} : { ids }),
    ...(seqs.length === 0 ? {} : { seqs }),
    overwrite_conflicts: call.has('overwrite-conflicts'),
  };
}
