/** Longest id that is kept, in bytes; clients count or use UUIDs. */
const MAX_ID_BYTES = 256;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = new Set([0x7b, 0x5b]); // { [
const CLOSE = new Set([0x7d, 0x5d]); // } ]
const COLON = 0x3a;
const COMMA = 0x2c;

/**
 * Finds a JSON-RPC request's id in a message that is too large to keep, byte by byte as it passes: the id of an object
 * at depth 1, wherever it stands (the 1.x SDK writes it last). It looks only at what it must to tell strings from
 * structure; whether the rest is JSON does not matter to it.
 */
export class IdScanner {
  private depth = 0;
  private inString = false;
  private escaped = false;
  /** At depth 1: true between a key's colon and the next comma. */
  private inValue = false;
  /** The bytes of the key or the value at depth 1 that is passing by, undefined once it is too long to matter. */
  private token: number[] | undefined = [];
  private key = '';
  private found: string | number | undefined;
  private hasMethod = false;

  /** The id, if the message was a request with one; undefined for notifications, responses and garbage. */
  get id(): string | number | undefined {
    return this.hasMethod ? this.found : undefined;
  }

  scan(chunk: Uint8Array): void {
    for (const byte of chunk) this.step(byte);
  }

  private step(byte: number): void {
    if (this.inString) {
      this.keep(byte);
      if (this.escaped) this.escaped = false;
      else if (byte === BACKSLASH) this.escaped = true;
      else if (byte === QUOTE) this.inString = false;
    } else if (byte === QUOTE) {
      this.inString = true;
      this.keep(byte);
    } else if (OPEN.has(byte)) {
      this.depth++;
      // Whatever holds structure is neither a key nor an id.
      if (this.depth > 1) this.token = undefined;
    } else if (CLOSE.has(byte)) {
      if (this.depth === 1) this.endMember();
      this.depth--;
    } else if (this.depth !== 1) {
      return;
    } else if (byte === COLON && !this.inValue) {
      this.key = this.tokenText();
      this.inValue = true;
      this.token = [];
    } else if (byte === COMMA) {
      this.endMember();
    } else this.keep(byte);
  }

  private keep(byte: number): void {
    if (this.depth !== 1 || this.token === undefined) return;
    if (this.token.length < MAX_ID_BYTES) this.token.push(byte);
    else this.token = undefined;
  }

  private endMember(): void {
    if (this.key === '"method"') this.hasMethod = true;
    if (this.key === '"id"' && this.token !== undefined) this.found = parseId(this.tokenText());
    this.key = '';
    this.inValue = false;
    this.token = [];
  }

  private tokenText(): string {
    return this.token === undefined ? '' : Buffer.from(this.token).toString('utf8').trim();
  }
}

/** A string or an integer, the ids that MCP allows. */
function parseId(json: string): string | number | undefined {
  if (!/^(-?\d{1,15}|".*")$/s.test(json)) return undefined;
  try {
    return JSON.parse(json);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
