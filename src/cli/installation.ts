import { existsSync } from 'node:fs';
import { basename, dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { prefixOf } from '../ops/update/prefix.js';

/** How this very program came to be on the machine; what to tell people depends on it. */
export interface Installation {
  /** `managed`: by `service install`, versions side by side. */
  readonly kind: 'checkout' | 'npx' | 'global' | 'project' | 'managed';
  /** The package's own directory. */
  readonly packageRoot: string;
  /** Where npm was at work: the directory whose node_modules holds the package, or the checkout itself. */
  readonly npmRoot: string;
}

const PACKAGE_ROOT = fileURLToPath(new URL('../../../', import.meta.url)).replace(/[\\/]$/, '');

/** @param packageRoot absolute, without a separator at its end */
export function findInstallation(packageRoot = PACKAGE_ROOT): Installation {
  const modules = dirname(packageRoot);
  if (basename(modules) !== 'node_modules') return { kind: 'checkout', packageRoot, npmRoot: packageRoot };
  const npmRoot = dirname(modules);
  if (prefixOf(packageRoot) !== undefined) return { kind: 'managed', packageRoot, npmRoot };
  if (npmRoot.includes(`${sep}_npx${sep}`)) return { kind: 'npx', packageRoot, npmRoot };
  // npm installs globally into <prefix>/lib/node_modules (on Windows <prefix>/node_modules), where no package.json lies.
  return { kind: existsSync(join(npmRoot, 'package.json')) ? 'project' : 'global', packageRoot, npmRoot };
}
