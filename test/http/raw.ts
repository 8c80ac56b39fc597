/** HTTP written by hand: what no library would send. */
import { connect, type Socket } from 'node:net';

export interface RawAnswer {
  /** 0 where the connection was closed without an answer. */
  readonly status: number;
  /** In lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Lines of a request, without the blank one. */
export const head = (...lines: string[]): string => `${lines.join('\r\n')}\r\n\r\n`;

/** Sends bytes and answers with all that came until the other side closed, or `quietMs` after the last byte. */
export async function raw(
  port: number,
  bytes: string | Buffer | ((socket: Socket) => Promise<void>),
  quietMs = 500,
): Promise<RawAnswer> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  const ended = new Promise<void>(resolve => {
    let quiet: NodeJS.Timeout | undefined;
    socket.on('data', chunk => {
      chunks.push(chunk);
      clearTimeout(quiet);
      quiet = setTimeout(resolve, quietMs);
    });
    // A server that refuses may close while it is still sent to.
    socket.on('error', () => resolve());
    socket.on('close', () => resolve());
  });
  await new Promise<void>(resolve => socket.once('connect', resolve));
  if (typeof bytes === 'function') await bytes(socket);
  else socket.write(bytes);
  await ended;
  socket.destroy();
  return parsed(Buffer.concat(chunks).toString('latin1'));
}

function parsed(text: string): RawAnswer {
  const [top = '', ...rest] = text.split('\r\n\r\n');
  const [statusLine = '', ...lines] = top.split('\r\n');
  const headers = lines.map(line => [
    line.slice(0, line.indexOf(':')).toLowerCase(),
    line.slice(line.indexOf(':') + 2),
  ]);
  return {
    status: Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1] ?? 0),
    headers: Object.fromEntries(headers),
    body: rest.join('\r\n\r\n'),
  };
}
