/** Whom a server answers: who names it rightly, comes from where it may be asked, has a token, and does not ask too often. */
import type { IncomingMessage } from 'node:http';
import { RateLimiter } from './limits.js';
import { Names, type NamesOptions } from './names.js';
import { forbidden, type Refusal, rateLimited } from './refusals.js';
import type { TokenBook } from './token-book.js';
import type { Token } from './tokens.js';

/** Wrong tokens from one address, a second. */
const FAILURES_PER_SECOND = 10;

export class Admission {
  private readonly names: Names;
  private readonly rate: RateLimiter;
  private readonly failures = new RateLimiter(FAILURES_PER_SECOND, FAILURES_PER_SECOND * 2);

  /** @param ratePerSecond requests of one token, with as many again at once; 0 for no limit */
  constructor(
    names: NamesOptions,
    private readonly tokens: TokenBook,
    ratePerSecond: number,
  ) {
    this.names = new Names(names);
    this.rate = new RateLimiter(ratePerSecond, ratePerSecond * 2);
  }

  strangeHost({ headersDistinct }: IncomingMessage): Refusal | undefined {
    return this.names.isHost(headersDistinct.host) ? undefined : forbidden('HOST_FORBIDDEN');
  }

  strangeOrigin({ headersDistinct }: IncomingMessage): Refusal | undefined {
    return this.names.isOrigin(headersDistinct.origin) ? undefined : forbidden('ORIGIN_FORBIDDEN');
  }

  /** Whose token the request presents; undefined where it presents none that counts, or several. */
  bearerOf({ headersDistinct }: IncomingMessage): Token | undefined {
    const [header, ...more] = headersDistinct.authorization ?? [];
    const [, presented] = /^bearer ([^\s]+)$/i.exec(header ?? '') ?? [];
    return presented === undefined || more.length > 0 ? undefined : this.tokens.find(presented);
  }

  /** Whether it still counts. */
  isValid(token: Token): boolean {
    return this.tokens.isValid(token);
  }

  /** Of who could not show who he is: the refusal, or that he tried too often from this address. */
  failed({ socket }: IncomingMessage, refusal: Refusal): Refusal {
    const waitS = this.failures.take(socket.remoteAddress ?? '');
    return waitS > 0 ? rateLimited(waitS) : refusal;
  }

  /** Whether a request of this token is one too many. */
  tooOften({ name }: Token): Refusal | undefined {
    const waitS = this.rate.take(name);
    return waitS > 0 ? rateLimited(waitS) : undefined;
  }
}
