import { expect, test } from 'vitest';
import { createEmbedder } from '#src/embedding/create.js';

test('each provider is created without touching its model or the network', async () => {
  const settings = { model: 'm', url: 'http://127.0.0.1:1', key: undefined, dimension: undefined };
  for (const provider of ['openai', 'ollama'] as const) {
    const embedder = await createEmbedder({ provider, ...settings });
    expect(embedder.state()).toBe('not contacted');
    await embedder.close();
  }
  const embedded = await createEmbedder({ provider: 'embedded', ...settings, model: '', url: '' });
  expect(embedded.state()).toBe('not loaded');
  expect((await embedded.space()).provider).toBe('embedded');
  await embedded.close();
});
