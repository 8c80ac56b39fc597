import type { Command, Delegated } from './command.js';
import { ITEMS } from './tables/items.js';
import { SERVING } from './tables/serving.js';
import { TOOLS } from './tables/tools.js';
import { TUNING } from './tables/tuning.js';
import { WATCHING } from './tables/watching.js';

/** Every command, in the order of --help. */
export const COMMANDS: readonly (Command | Delegated)[] = [
  ...SERVING,
  ...WATCHING,
  ...ITEMS,
  ...TUNING,
  ...TOOLS,
];
