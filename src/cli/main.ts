#!/usr/bin/env node
/**
 * The entry of `mcp-vector-server`. It imports nothing statically but the terminal test: a client waits for the answer
 * to tools/list from the moment this process starts.
 */
import { isatty } from 'node:tty';

const STDIN_FD = 0;
const args = process.argv.slice(2);

// A client starts the server without arguments and with a pipe; a person who types the bare name wants to be told more.
if (args.length === 0 && !isatty(STDIN_FD)) args.push('stdio');

if (args.length === 1 && args[0] === 'stdio') {
  const { serveStdio } = await import('./commands/stdio.js');
  process.exit(await serveStdio());
} else {
  const { run } = await import('./run.js');
  process.exitCode = await run(args);
}
