/** The process that verifyApart starts: one verification, told to its parent. */
import { WalError } from '../../wal/errors.js';
import { isCoded } from '../domain/errors.js';
import { verifyStore } from './verify.js';
import type { VerifyMessage, VerifyRequest } from './verify-apart.js';

// Without its parent nobody wants to know.
process.once('disconnect', () => process.exit());
process.once('message', (request: VerifyRequest) => {
  void answer(request).then(() => process.disconnect());
});

const send = (message: VerifyMessage): Promise<void> =>
  new Promise((resolve, reject) => {
    process.send!(message, (error: Error | null) => (error ? reject(error) : resolve()));
  });

async function answer({ storeDir, options }: VerifyRequest): Promise<void> {
  try {
    const report = await verifyStore(storeDir, {
      ...options,
      onProgress: progress => void send({ type: 'progress', progress }),
    });
    await send({ type: 'report', report });
  } catch (error) {
    // What has no code is a defect: it ends this process, and shows itself on stderr.
    if (!isCoded(error)) throw error;
    const { code, message, wayOut } = error;
    const layer = error instanceof WalError ? 'wal' : 'program';
    await send({ type: 'error', layer, error: { code, message, wayOut } });
  }
}
