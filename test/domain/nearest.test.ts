import { expect, test } from 'vitest';
import { nearest } from '#src/domain/nearest.js';

test('nearest finds the slip, and nothing where nothing is near', () => {
  const names = ['embedded', 'openai', 'ollama'];
  expect(nearest('embeded', names)).toBe('embedded');
  expect(nearest('OPENIA', names)).toBe('openai');
  expect(nearest('olama', names)).toBe('ollama');
  expect(nearest('cohere', names)).toBeUndefined();
  expect(nearest('', names)).toBeUndefined();
  expect(nearest('x'.repeat(1_000_000), names)).toBeUndefined();
});
