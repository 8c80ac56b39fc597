/** `npm run torture:damage`: the damage campaign. See --help. */
import { numberWithin, runCommand, stopwatch, wholeNumber } from '../helpers/campaign-command.js';
import { runDamageCampaign } from './campaign.js';
import { printReport } from './report.js';
import { SHAPES } from './shapes.js';

const NAMES = SHAPES.map(({ name }) => name);

await runCommand({
  help: `Usage: npm run torture:damage -- [options]

Flips bits of a store's files, cuts, deletes, zeroes and exchanges them, and looks at what verify and the engine say.

  --every BYTES   Each so many bytes; 1 is all of them. Default: 97.
  --share F       A part of that, in (0, 1]. Default: 1.
  --read-every N  Opens each so many stores as well as verifying them. Default: 1.
  --seed S        Default: one of the clock's; it is printed.
  --store NAME    This store alone: ${NAMES.join(', ')}.
  --only REGEX    Files whose name it matches alone.
  --unseen        Lists the cases that verify calls sound.`,
  options: {
    every: { type: 'string', default: '97' },
    share: { type: 'string', default: '1' },
    'read-every': { type: 'string', default: '1' },
    store: { type: 'string' },
    only: { type: 'string' },
    unseen: { type: 'boolean', default: false },
  },
  read: ({ every, share, 'read-every': readEvery, store, only, unseen }) => {
    if (store !== undefined && !NAMES.includes(store)) throw new Error(`--store: there is no store ${store}`);
    return {
      stride: wholeNumber('--every', every),
      share: numberWithin('--share', share, 0, 1),
      readEvery: wholeNumber('--read-every', readEvery),
      shapes: SHAPES.filter(({ name }) => store === undefined || store === name),
      files: only === undefined ? undefined : new RegExp(only),
      unseen,
    };
  },
  run: async ({ shapes, files, unseen, ...options }) => {
    let isWhole = true;
    for (const { only, ...shape } of shapes) {
      const seconds = stopwatch();
      const ofThese = files ?? only;
      const report = await runDamageCampaign({
        ...options,
        shape,
        ...(ofThese === undefined ? {} : { only: ofThese }),
        onProgress: (done, total) => {
          if (done % 1000 === 0) console.error(`${done} of ${total} cases, ${seconds().toFixed(0)} s`);
        },
      });
      isWhole = printReport(report, seconds(), unseen) && isWhole;
    }
    return isWhole;
  },
});
