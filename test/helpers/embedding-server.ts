import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request as the server saw it. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: a request's body is whatever the client under test sent
  readonly body: any;
  readonly atMs: number;
}

type Answer = (response: ServerResponse, seen: SeenRequest) => void;

/** What it has for a text before any normalisation: components in [-3, 3), the same for the same text. */
export function rawVector(text: string, dimension: number): number[] {
  const vector: number[] = [];
  for (let block = 0; vector.length < dimension; block++) {
    const digest = createHash('sha256').update(`${block}:${text}`).digest();
    for (let i = 0; i < 32 && vector.length < dimension; i += 4) {
      vector.push(Math.fround((digest.readUInt32LE(i) / 2 ** 32) * 6 - 3));
    }
  }
  return vector;
}

/** rawVector at unit length, as an oracle. */
export function unitVector(text: string, dimension: number): number[] {
  const raw = rawVector(text, dimension);
  const length = Math.hypot(...raw);
  return raw.map(x => x / length);
}

/** A real HTTP server on 127.0.0.1 that speaks the embedding APIs of OpenAI and Ollama, and misbehaves on demand. */
export class EmbeddingServer {
  readonly requests: SeenRequest[] = [];
  dimension = 8;
  /** What /api/tags lists. */
  models = [{ name: 'nomic-embed-text:latest', model: 'nomic-embed-text:latest', digest: 'd1gest' }];
  base64 = false;
  /** Held back this long before each good answer. */
  delayMs = 0;
  mostAtOnce = 0;
  readonly #script: Answer[] = [];
  #underWay = 0;
  readonly #server = createServer((request, response) => void this.#serve(request, response));

  static async start(): Promise<EmbeddingServer> {
    const server = new EmbeddingServer();
    await new Promise<void>(resolve => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Requests for vectors alone. */
  get embeddings(): SeenRequest[] {
    return this.requests.filter(request => request.method === 'POST');
  }

  /** Answers the next requests for vectors like this, one each, and properly again after that. */
  next(...answers: Answer[]): void {
    this.#script.push(...answers);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise(resolve => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const seen: SeenRequest = {
      method: request.method!,
      path: request.url!,
      authorization: request.headers.authorization,
      body: text === '' ? undefined : JSON.parse(text),
      atMs: performance.now(),
    };
    this.requests.push(seen);
    if (seen.method === 'GET' && seen.path === '/api/tags') {
      json({ models: this.models })(response, seen);
      return;
    }
    this.#underWay++;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#underWay);
    const answer = this.#script.shift() ?? this.#good;
    if (this.delayMs > 0) await new Promise(resolve => setTimeout(resolve, this.delayMs));
    this.#underWay--;
    answer(response, seen);
  }

  readonly #good: Answer = (response, seen) => {
    const dimension = seen.body.dimensions ?? this.dimension;
    const vectors: number[][] = seen.body.input.map((text: string) => rawVector(text, dimension));
    if (seen.path.startsWith('/api/embed')) {
      json({ model: seen.body.model, embeddings: vectors })(response, seen);
      return;
    }
    const data = vectors.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: this.base64 ? Buffer.from(Float32Array.from(vector).buffer).toString('base64') : vector,
    }));
    // Out of order on purpose: `index` is what counts.
    json({ object: 'list', model: seen.body.model, data: data.reverse() })(response, seen);
  };
}

export function json(body: unknown): Answer {
  return raw(200, JSON.stringify(body));
}

export function raw(status: number, body: string, headers: Record<string, string> = {}): Answer {
  return response => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
  };
}

/** Closes the connection without an answer. */
export const reset: Answer = response => {
  response.socket!.resetAndDestroy();
};

/** Begins an answer and breaks off. */
export const breakOff: Answer = response => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
  response.write('{"data": [', () => response.socket!.destroy());
};

/** Never answers. */
export const silence: Answer = () => undefined;
