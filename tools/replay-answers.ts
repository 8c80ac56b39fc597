/** What tools/replay answers to people. */
import {
  columns,
  count,
  describeOrigin,
  grouped,
  oneLine,
  printable,
  say,
  size,
} from '../src/cli/printing.js';
import type { ForkedStore, ForkPlan } from '../src/engine/fork.js';
import type { FormerCheckpoint, RebuildSummary } from '../src/engine/rebuild.js';
import type { ReplaySummary } from '../src/engine/replay.js';

const NAME_WIDTH = 60;

export function sayReplay(summary: ReplaySummary): void {
  const { moment, head, storeId, forkedFrom, sinceSeq, events, collections, store, plan } = summary;
  const place = moment.seq === head.seq ? 'the head' : `the head is ${head.seq}`;
  say(`moment    ${moment.seq}  ${moment.time}  (${place})`);
  say(`store     ${storeId}${forkedFrom ? `, ${describeOrigin(forkedFrom)}` : ''}`);
  const kinds = Object.entries(events).map(([kind, n]) => `${kind} ${grouped(n)}`);
  say(`events    ${sinceSeq === undefined ? '' : `from ${sinceSeq} on: `}${kinds.join(', ') || 'none'}`);
  const rows = collections.map(c => [
    `  ${oneLine(c.name, NAME_WIDTH)}`,
    count(c.items, 'item'),
    count(c.passages, 'passage'),
    c.space,
  ]);
  for (const line of columns(rows)) say(line);
  if (store) sayStore(store);
  if (plan) sayPlan(plan);
}

function sayStore({ path, id, seq, forkedFrom, checkpoint }: ForkedStore): void {
  say(`new store ${printable(path)}`);
  say(`          ${id}, ${describeOrigin(forkedFrom)}; its head is ${seq}`);
  say(
    checkpoint === null
      ? '          without indexes: its first start builds them'
      : `          with its indexes: checkpoint ${checkpoint}`,
  );
}

function sayPlan({ path, target, records, recordBytes, checkpoint, neededBytes, freeBytes }: ForkPlan): void {
  say(`would make ${printable(path)} (${target === 'absent' ? 'not there yet' : 'there, and empty'})`);
  say(
    `          of ${count(records, 'record')}, ${size(recordBytes)}${checkpoint ? ', and build its indexes' : ''}`,
  );
  say(`          taking up to ${size(neededBytes)}; ${size(freeBytes)} are free`);
  say('Nothing was done: this was a dry run.');
}

export function sayRebuild({ head, former, formerBytes, logBytes, disk, rebuilt }: RebuildSummary): void {
  say(`head      ${head.seq}  ${head.time}`);
  for (const checkpoint of former)
    say(`former    checkpoint ${checkpoint.seq}: ${describeFormer(checkpoint)}`);
  if (former.length === 0) say('former    no checkpoint');
  if (rebuilt) {
    say(
      `rebuilt   checkpoint ${rebuilt.seq} of ${count(rebuilt.records, 'record')}, ${size(rebuilt.bytes)} (before: ${size(formerBytes)})`,
    );
    return;
  }
  say(`would build checkpoint ${head.seq} of a log of ${size(logBytes)}, then remove the former ones`);
  say(
    `          (${size(formerBytes)}); taking up to ${size(disk.neededBytes)}; ${size(disk.freeBytes)} are free`,
  );
  say('Nothing was done: this was a dry run.');
}

function describeFormer({ state, parts, reason }: FormerCheckpoint): string {
  switch (state) {
    case 'same':
      return 'said the same as the log';
    case 'differs':
      return `DIFFERED from what the log gives: ${parts?.join(', ')}`;
    case 'erased':
      return 'not compared: of what it was made of some has been erased';
    case 'unreadable':
      return `could not be compared: ${printable(reason ?? '')}`;
    case 'readable':
      return 'whole';
  }
}
