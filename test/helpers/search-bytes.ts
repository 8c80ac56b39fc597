import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Files under a directory that hold any of these bytes, wherever in them they lie. */
export function filesHolding(dir: string, needles: readonly Buffer[]): string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter(name => statSync(join(dir, name)).isFile())
    .filter(name => {
      const bytes = readFileSync(join(dir, name));
      return needles.some(needle => bytes.includes(needle));
    })
    .sort();
}

/** The bytes of numbers as they are stored. */
export const floatBytes = (values: ArrayLike<number>): Buffer => {
  const floats = Float32Array.from(values);
  return Buffer.from(floats.buffer, floats.byteOffset, floats.byteLength);
};
