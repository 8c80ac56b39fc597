// A server process over the Map: what the stdio tests start. It prints where it must not, as a dependency might.
import { pino } from 'pino';
import { serveStdioServer } from '#src/mcp/stdio.js';
import { mapEngine } from './map-engine.mjs';

let engine;
const server = serveStdioServer({
  engine: async () => {
    console.log('a dependency says hello');
    process.stdout.write('without a newline');
    engine ??= mapEngine();
    return engine;
  },
  version: '0.0.0-test',
  roots: process.env.TEST_ROOT === undefined ? undefined : [process.env.TEST_ROOT],
  logger: pino({ level: process.env.TEST_LOG_LEVEL ?? 'silent' }, pino.destination(2)),
});
const reason = await server.ended;
console.error(`ended: ${reason}`);
