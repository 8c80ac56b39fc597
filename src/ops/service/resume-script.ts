import type { Prefix } from '../update/prefix.js';

/**
 * The program that runs before every start of the service. It needs nothing of any version but Node, since the one that counts may be the one that is broken:
 * where an update was interrupted, the version from before it is run to finish or undo it.
 */
export const resumeScript = (
  prefix: Prefix,
): string => `// Written by mcp-vector-server service install. Runs before every start of the service.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const prefix = ${JSON.stringify(prefix.dir)};
const journal = join(prefix, 'update.json');
if (existsSync(journal)) {
  const { from } = JSON.parse(readFileSync(journal, 'utf8'));
  const main = join(prefix, 'versions', from, 'node_modules', 'mcp-vector-server', 'dist', 'src', 'cli', 'main.js');
  const { status } = spawnSync(process.execPath, [main, 'update', '--resume', '--prefix', prefix], { stdio: 'inherit' });
  process.exitCode = status ?? 2;
}
`;
