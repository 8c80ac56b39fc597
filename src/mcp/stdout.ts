import { Writable } from 'node:stream';

/**
 * Takes stdout for MCP alone: the answered stream writes to it, and from now on whatever else in this process writes to
 * process.stdout (a dependency, a worker's console) lands on stderr, since one stray line would break the protocol.
 */
export function claimStdout(): Writable {
  const { stdout, stderr } = process;
  const write = stdout.write.bind(stdout);
  const claimed = new Writable({
    decodeStrings: false,
    write: (chunk, encoding, done) => void write(chunk, encoding, done),
  });
  stdout.on('error', error => claimed.destroy(error));
  stdout.write = stderr.write.bind(stderr) as typeof stdout.write;
  return claimed;
}
