import type { Config } from '../config.js';
import { SampleHistory } from '../ops/sample-history.js';
import { sayError } from './printing.js';

/** The samples of a store that no server has, and this process does. */
export const ownHistory = (config: Pick<Config, 'storePath'>): SampleHistory =>
  new SampleHistory({
    storeDir: config.storePath,
    clock: Date.now,
    warn: error => sayError(error, false),
  });
