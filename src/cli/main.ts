#!/usr/bin/env node
/**
 * The entry of `mcp-vector-server`. It imports nothing of its own statically: a client waits for the answer to tools/list
 * from the moment this process starts.
 */
import module from 'node:module';
import { isatty } from 'node:tty';

// Node 22.1 and later keep what they compiled (in NODE_COMPILE_CACHE, else the system's temporary directory), so that
// the next start need not compile the SDK again. Where that cannot be written, nothing is lost but the time.
(module as { enableCompileCache?: () => void }).enableCompileCache?.();

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
