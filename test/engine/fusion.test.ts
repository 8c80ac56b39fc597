import fc from 'fast-check';
import { expect, it } from 'vitest';
import { fuse } from '#src/engine/fusion.js';

const semantic = fc.double({ min: -1, max: 1, noNaN: true });
const keyword = fc.double({ min: 0, max: 1, noNaN: true });

it('is near the cosine where no word matches', () => {
  expect(fuse({ semantic: 0, keyword: 0 })).toBe(0);
  expect(fuse({ semantic: 0.3, keyword: 0 })).toBeCloseTo(0.287, 3);
  expect(fuse({ semantic: 0.5, keyword: 0 })).toBeCloseTo(0.447, 3);
  expect(fuse({ semantic: -0.5, keyword: 0 })).toBeCloseTo(-0.447, 3);
});

it('stays within -1 and 1 and rises with either side', () => {
  fc.assert(
    fc.property(semantic, keyword, semantic, keyword, (s, k, otherS, otherK) => {
      const score = fuse({ semantic: s, keyword: k });
      expect(Math.abs(score)).toBeLessThan(1);
      // Two ulp below 1: each of the operations rounds, so that sums an ulp apart may come out the other way round.
      const ULPS = 2 ** -52;
      expect(fuse({ semantic: Math.max(s, otherS), keyword: Math.max(k, otherK) })).toBeGreaterThanOrEqual(
        score - ULPS,
      );
    }),
  );
  expect(fuse({ semantic: 0.6, keyword: 0.2 })).toBeGreaterThan(fuse({ semantic: 0.59, keyword: 0.2 }));
  expect(fuse({ semantic: 0.6, keyword: 0.21 })).toBeGreaterThan(fuse({ semantic: 0.6, keyword: 0.2 }));
});

it('puts what says all the words above what only means the same, and a stray word below it', () => {
  const said = fuse({ semantic: 0.2, keyword: 0.6 });
  const meant = fuse({ semantic: 0.8, keyword: 0 });
  const strayWord = fuse({ semantic: 0.3, keyword: 0.15 });
  expect(said).toBeGreaterThan(meant);
  expect(meant).toBeGreaterThan(strayWord);
});

it('keeps the order of inner products beyond 1', () => {
  const scores = [2, 50, 51, 1000].map(product => fuse({ semantic: product, keyword: 0 }));
  expect(scores).toEqual([...scores].sort((a, b) => a - b));
  expect(new Set(scores).size).toBe(4);
  expect(Math.max(...scores)).toBeLessThan(1);
});
