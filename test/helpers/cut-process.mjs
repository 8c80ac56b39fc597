/**
 * The child of truncate.test.ts: exports a store's tail and cuts it, or only opens the store (and so finishes a cut), and is killed
 * right after the n-th report of a step. argv: store directory, last seq that stays (0: only open), step, n.
 */
import { openLog } from '../../dist/wal/open.js';
import { exportTail } from '../../dist/wal/quarantine.js';

const [storeDir, after, fatalStep, nth] = process.argv.slice(2);

let seen = 0;
const onStep = step => {
  if (step === fatalStep && ++seen === Number(nth)) process.kill(process.pid, 'SIGKILL');
};
const options = { storeDir, onCutStep: onStep };

if (after === '0') {
  await (await openLog(options)).close();
} else {
  const log = await openLog(options);
  const { head } = log;
  const { hash } = log.get(Number(after));
  await exportTail(log, storeDir, Number(after), { reason: 'a test', clock: Date.now, onStep });
  await log.close();
  await (await openLog({ ...options, cut: { after: { seq: Number(after), hash }, head } })).close();
}
