import type { SystemKind } from '../system.js';
import { fileKind } from './file.js';
import { hnswlibKind } from './hnswlib.js';
import { lancedbKind } from './lancedb.js';
import { levelKind } from './level.js';
import { ownKinds } from './own.js';
import { sqliteVecKind } from './sqlite-vec.js';
import { usearchKind } from './usearch.js';
import { vectraKind } from './vectra.js';
import { zvecKind } from './zvec.js';

/** Every system, in the order of the table's columns. */
export const SYSTEMS: readonly SystemKind[] = [
  ...ownKinds,
  zvecKind,
  sqliteVecKind,
  lancedbKind,
  vectraKind,
  hnswlibKind,
  usearchKind,
  levelKind,
  fileKind,
];

export function systemNamed(name: string): SystemKind {
  const kind = SYSTEMS.find(system => system.name === name);
  if (kind === undefined)
    throw new Error(`no system ${name}; there are ${SYSTEMS.map(system => system.name).join(', ')}`);
  return kind;
}

/** Those of these names or roles, in the order of the table. */
export function systemsOf(names: readonly string[]): SystemKind[] {
  const isMeant = ({ name, role }: SystemKind) => names.includes(name) || names.includes(role);
  for (const name of names) if (!SYSTEMS.some(({ role }) => role === name)) systemNamed(name);
  return SYSTEMS.filter(isMeant);
}
