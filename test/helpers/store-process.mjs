/**
 * The child of store-process.ts: opens a store in a process of its own, so that it can be killed, or be the second owner.
 * argv: store directory, options as JSON. Over IPC: {append: [texts]} answers {acked: lastSeq} or {failed: code}; {read: true}.
 */
import { openLog } from '../../dist/wal/open.js';

const [storeDir, options] = process.argv.slice(2);

let log;
try {
  log = await openLog({ storeDir, ...JSON.parse(options) });
  process.send({ open: log.head.seq });
} catch (error) {
  process.send({ failed: error.code, message: error.message, details: error.details });
  process.disconnect();
}

process.on('message', async ({ append, read, close }) => {
  try {
    if (append) {
      const events = append.map(text => ({ type: 40, body: Buffer.from(text), actor: 0 }));
      const { durable, lastSeq } = log.append(events);
      await durable;
      process.send({ acked: lastSeq });
    } else if (read) {
      const texts = [];
      for await (const piece of log.read())
        for (const { type, body } of piece) if (type === 40) texts.push(Buffer.from(body).toString());
      process.send({ texts });
    } else if (close) {
      await log.close();
      process.send({ closed: true });
      process.disconnect();
    }
  } catch (error) {
    process.send({ failed: error.code, message: error.message });
  }
});
