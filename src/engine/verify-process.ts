/** The process that verifyApart starts: one verification, told to its parent. */
import { WalError } from '../../wal/errors.js';
import { verifyStore } from './verify.js';
import type { VerifyMessage, VerifyRequest } from './verify-apart.js';

// Without its parent nobody wants to know.
process.once('disconnect', () => process.exit());
process.once('message', (request: VerifyRequest) => {
  void answer(request).then(() => process.disconnect());
});

const send = (message: VerifyMessage): Promise<void> =>
  new Promise(resolve => {
    // What cannot be sent has no reader: see above.
    process.send!(message, () => resolve());
  });

async function answer({ storeDir, options }: VerifyRequest): Promise<void> {
  try {
    const report = await verifyStore(storeDir, {
      ...options,
      onProgress: progress => void send({ type: 'progress', progress }),
    });
    await send({ type: 'report', report });
  } catch (error) {
    // Anything else is a defect: it ends this process, and shows itself on stderr.
    if (!(error instanceof WalError)) throw error;
    const { code, message, wayOut } = error;
    await send({ type: 'error', error: { code, message, wayOut } });
  }
}
