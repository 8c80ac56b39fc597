import { request as ask, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Proxy {
  readonly url: string;
  close(): void;
}

/**
 * Adds a token to every request and passes everything else on as it is, Host and Origin with it: the suites cannot send one, and our
 * server answers nobody without.
 */
export async function tokenProxy(port: number, token: string): Promise<Proxy> {
  const server = createServer((request, response) => {
    const { method, url: path, rawHeaders } = request;
    const headers = [...rawHeaders, 'Authorization', `Bearer ${token}`];
    // A connection for each: one that is kept may be closed by the server just when it is used again.
    const to = { host: '127.0.0.1', port, method, path, headers, setHost: false, agent: false as const };
    const forwarded = ask(to, answer => {
      response.writeHead(answer.statusCode!, answer.rawHeaders);
      response.flushHeaders();
      answer.pipe(response);
    });
    forwarded.on('error', () => response.destroy());
    response.on('close', () => forwarded.destroy());
    request.pipe(forwarded);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
