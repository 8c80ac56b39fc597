import { statSync } from 'node:fs';
import { isCoded } from '../domain/errors.js';
import type { Logger } from '../log.js';
import { digestOf, isTokenLike, readToken, type Token, tokenNames } from './tokens.js';

/** A change within this time of another may not show in the directory's time. */
const GRAIN_MS = 1_000;

/** The tokens as a running server knows them: what a command creates or revokes counts from the next request on. */
export class TokenBook {
  private byDigest: ReadonlyMap<string, Token> = new Map();
  private seenNs = -1n;
  private isSettled = false;

  /** @param dir where the tokens lie; it may be missing, and come later */
  constructor(
    private readonly dir: string,
    private readonly logger: Logger,
    private readonly clock: () => number = Date.now,
  ) {}

  get size(): number {
    this.refresh();
    return this.byDigest.size;
  }

  /**
   * The token that a request presents; undefined where it is none of ours or has expired. It is looked up by its digest: how long that
   * takes says nothing about any secret.
   */
  find(presented: string): Token | undefined {
    if (!isTokenLike(presented)) return undefined;
    this.refresh();
    return this.valid(this.byDigest.get(digestOf(presented)));
  }

  /** Whether it still counts: neither revoked nor expired. */
  isValid({ sha256 }: Token): boolean {
    this.refresh();
    return this.valid(this.byDigest.get(sha256)) !== undefined;
  }

  private valid(token: Token | undefined): Token | undefined {
    if (token === undefined || token.expires === null) return token;
    return Date.parse(token.expires) > this.clock() ? token : undefined;
  }

  private refresh(): void {
    const changedNs = statSync(this.dir, { bigint: true, throwIfNoEntry: false })?.mtimeNs ?? 0n;
    if (changedNs === this.seenNs && this.isSettled) return;
    this.seenNs = changedNs;
    this.isSettled = this.clock() - Number(changedNs / 1_000_000n) > GRAIN_MS;
    this.byDigest = this.read();
  }

  /** What cannot be read opens nothing, and is said; the others go on. */
  private read(): Map<string, Token> {
    const found = new Map<string, Token>();
    const report = (error: unknown) => {
      if (isCoded(error)) this.logger.error({ code: error.code }, `${error.message}. ${error.wayOut}`);
      else this.logger.error({ err: error }, 'tokens cannot be read');
    };
    try {
      for (const name of tokenNames(this.dir)) {
        try {
          const token = readToken(this.dir, name);
          found.set(token.sha256, token);
        } catch (error) {
          // Revoked since its name was read.
          if ((error as NodeJS.ErrnoException).code !== 'ENOENT') report(error);
        }
      }
    } catch (error) {
      report(error);
      return new Map();
    }
    return found;
  }
}
