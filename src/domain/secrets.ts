/**
 * Texts that look like credentials: an append-only log is a bad place for one. Two kinds of evidence count: the shape
 * of a known issuer's tokens (as in the rules of gitleaks and GitHub's secret scanning), and a random-looking value
 * given to something named password, token, key or secret. Placeholders and the examples of well-known documentation
 * are not credentials.
 *
 * Every pattern is linear: what follows its fixed start is bounded, or a run of one character class that cannot start
 * again inside itself.
 */

/** Where a credential seems to be, as UTF-16 offsets [start, end), and what it seems to be. */
export interface SecretFinding {
  readonly kind: string;
  readonly start: number;
  readonly end: number;
}

/** The first text that looks like a credential, in the order of the rules; undefined where there is none. */
export function findSecret(text: string): SecretFinding | undefined {
  const traits = traitsOf(text);
  for (const { needs, pattern, isSecret, kind } of RULES) {
    if ((traits & needs) !== needs) continue;
    pattern.lastIndex = 0;
    for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
      const [start, end] = match.indices!.groups!.secret!;
      if (isSecret(text.slice(start, end), text, end))
        return { kind: kind(text.slice(start, end)), start, end };
      // A rejected value may hold the start of the next match.
      pattern.lastIndex = Math.max(match.index + 1, start);
    }
  }
  return undefined;
}

interface Rule {
  /** What every text has in which it finds something: most texts have none of it, and are not searched. */
  readonly needs: number;
  readonly kind: (value: string) => string;
  /** With the flags d and g and a group named `secret`. */
  readonly pattern: RegExp;
  readonly isSecret: (value: string, text: string, end: number) => boolean;
}

/** A run of 16 characters of which tokens are made. */
const LONG_RUN = 1;
const COLON = 2;
const AT_SIGN = 4;
/** A colon or an equals sign. */
const ASSIGNMENT = 8;
const FIVE_DASHES = 16;

const RUN_LENGTH = 16;
/** By ASCII code: 1 where a token may contain it. */
const IS_OF_TOKEN = Uint8Array.from({ length: 128 }, (_, code) =>
  /[\w.~+/=-]/.test(String.fromCharCode(code)) ? 1 : 0,
);

function traitsOf(text: string): number {
  let traits = text.includes('-----') ? FIVE_DASHES : 0;
  let run = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 128 && IS_OF_TOKEN[code] === 1) {
      if (++run === RUN_LENGTH) traits |= LONG_RUN;
      if (code === 61) traits |= ASSIGNMENT;
    } else {
      run = 0;
      if (code === 58) traits |= COLON | ASSIGNMENT;
      else if (code === 64) traits |= AT_SIGN;
    }
  }
  return traits;
}

/** Tokens of fixed shapes by issuer; each has a run of 16 characters. */
const TOKENS: readonly (readonly [kind: string, shape: RegExp])[] = [
  ['AWS access key', /(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}/],
  ['GitHub token', /gh[pousr]_[A-Za-z0-9]{36,255}/],
  ['GitHub token', /github_pat_[A-Za-z0-9_]{60,255}/],
  ['GitLab token', /gl(?:pat|dt|rt|ptt|oas|ft|soat|agent|cbt|imt)-[A-Za-z0-9_-]{20,255}/],
  ['npm token', /npm_[A-Za-z0-9]{36}/],
  ['PyPI token', /pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,1000}/],
  ['Slack token', /xox[abeoprs]-\d[A-Za-z0-9-]{18,255}/],
  ['Slack token', /xapp-\d-[A-Za-z0-9-]{20,255}/],
  [
    'Slack webhook',
    /https:\/\/hooks\.slack\.com\/services\/T[A-Z0-9]{6,12}\/B[A-Z0-9]{6,12}\/[A-Za-z0-9]{20,32}/,
  ],
  ['Anthropic key', /sk-ant-[A-Za-z0-9_-]{24,255}/],
  ['OpenAI key', /sk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,255}/],
  ['API key', /sk-or-v1-[0-9a-f]{64}/],
  ['API key', /sk-[A-Za-z0-9]{32,64}/],
  ['Stripe key', /[sr]k_(?:live|test)_[A-Za-z0-9]{16,247}/],
  ['Stripe webhook secret', /whsec_[A-Za-z0-9+/=]{32,64}/],
  ['Google API key', /AIza[A-Za-z0-9_-]{35}/],
  ['Google OAuth secret', /GOCSPX-[A-Za-z0-9_-]{28}/],
  ['Google access token', /ya29\.[A-Za-z0-9_-]{40,1000}/],
  ['Hugging Face token', /hf_[A-Za-z0-9]{34}/],
  ['SendGrid key', /SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}/],
  ['DigitalOcean token', /do[opr]_v1_[a-f0-9]{64}/],
  ['Databricks token', /dapi[a-f0-9]{32}/],
  ['Vault token', /hv[sb]\.[A-Za-z0-9_-]{24,255}/],
  ['Shopify token', /shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}/],
  ['Telegram bot token', /\d{8,10}:AA[A-Za-z0-9_-]{33}/],
  ['token of this server', /mvs_[A-Za-z0-9_-]{43}/],
  ['age secret key', /AGE-SECRET-KEY-1[A-Z0-9]{58}/],
];

/** One pattern for all of them: each further pass over a long text costs milliseconds. */
const ANY_TOKEN = new RegExp(
  `(?<![\\w-])(?<secret>${TOKENS.map(([, shape]) => shape.source).join('|')})(?![\\w-])`,
  'dg',
);

const RULES: readonly Rule[] = [
  {
    needs: LONG_RUN,
    kind: value => TOKENS.find(([, shape]) => shape.test(value))![0],
    pattern: ANY_TOKEN,
    isSecret: value => !isPlaceholder(value),
  },
  {
    needs: FIVE_DASHES,
    kind: () => 'private key',
    pattern: /(?<secret>-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----)/dg,
    // Documentation shows the frame around three dots; a key has lines of base64, in source code joined by "\n".
    isSecret: (_, text, end) => {
      const body = text.slice(end, end + 240).replace(/\\[nr]|[\s"'+,`|#*>]/g, '');
      const run = /[A-Za-z0-9/=]{64,}/.exec(body);
      return run !== null && !isPlaceholder(run[0]);
    },
  },
  {
    needs: LONG_RUN,
    kind: () => 'JSON Web Token',
    pattern: /(?<![\w-])(?<secret>eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{16,})/dg,
    isSecret: value => isJwtHeader(value.slice(0, value.indexOf('.'))) && !isPlaceholder(value),
  },
  {
    needs: LONG_RUN | ASSIGNMENT,
    kind: () => 'authorization header',
    pattern:
      /authorization["'`\]]{0,2}\s{0,4}[:=]\s{0,4}["'`]?(?:bearer|basic|token)\s{1,4}(?<secret>[\w.~+/=-]{16,512})/dgi,
    isSecret: value => looksRandom(value),
  },
  {
    needs: COLON | AT_SIGN,
    kind: () => 'password in a URL',
    pattern:
      /(?<![\w+.-])[a-z][a-z0-9+.-]{1,24}:\/\/[^\s:/@"'`<>]{0,64}:(?<secret>[^\s/@"'`<>]{6,128})@(?=[\w[])/dgi,
    isSecret: value => looksLikePassword(value),
  },
  {
    needs: ASSIGNMENT,
    kind: () => 'assigned credential',
    pattern:
      /(?:passw(?:or)?d|pwd|passphrase|secret|token|(?:api|access|private|secret|auth|account|encryption|signing)[_-]?key|credentials?)["'`\]]{0,2}\s{0,4}(?::=|=>|[:=])\s{0,4}["'`]?(?<secret>[^\s"'`<>=:]{8,256}={0,2})/dgi,
    isSecret: (value, text, end) => {
      const bare = value.replace(/[),;.\]}]+$/, '');
      const keyword = text.slice(Math.max(0, end - value.length - 32), end - value.length);
      return looksRandom(bare) || (/p(?:ass)?w(?:or)?d|passphrase/i.test(keyword) && looksLikePassword(bare));
    },
  },
];

/** Credentials that documentation everywhere shows, and that open nothing. */
const KNOWN_EXAMPLES = [
  'sk_test_4eC39HqLyjWDarjtT1zdp7dc',
  'sk_test_BQokikJOvBiI2HlWgH4olfQ2',
  'SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c',
  'QWxhZGRpbjpvcGVuIHNlc2FtZQ==',
];

const PLACEHOLDER_WORDS =
  /example|sample|dummy|placeholder|your[_-]|^your|change[_-]?me|redacted|replace|insert|xxxx|0000|1234|abcd|\*\*\*|\.\.\.|…/i;
/** A reference to where the value really is, or code that fetches it. */
const REFERENCE =
  /[$%]\{|\{\{|\$\(|^[$%@&]|process\.env|environ|getenv|\(|\[|\{|::|->|^(?:https?|file):|^\/|^\.\.?\//i;

/** Whether this stands for a credential instead of being one. */
function isPlaceholder(value: string): boolean {
  if (KNOWN_EXAMPLES.some(example => value.includes(example))) return true;
  if (PLACEHOLDER_WORDS.test(value)) return true;
  return new Set(value).size < Math.min(8, value.length / 2) || isMostlySteps(value);
}

/** `abcdefgh…`, `aaaa…`, `0123…`: three of ten neighbours equal or consecutive. In random hex digits two of ten are. */
function isMostlySteps(value: string): boolean {
  let steps = 0;
  for (let i = 1; i < value.length; i++) {
    if (Math.abs(value.charCodeAt(i) - value.charCodeAt(i - 1)) <= 1) steps++;
  }
  return steps > 0.45 * (value.length - 1);
}

/**
 * Whether a value looks as if drawn at random: at least 16 characters with letters and digits, whose classes (lower,
 * upper, digit) change far more often than in words and identifiers. A capital before a small letter is no change: it
 * is how words begin. Random base62 changes at 44 % of its places, hex at 47 %, camelCase at about 20 %; the bar stands at
 * 24 % and one change more, since chance weighs more in short values. Of random base62 it passes over 13 % at 16
 * characters, 2 % at 32, 1 % at 40.
 */
function looksRandom(value: string): boolean {
  if (value.length < 16 || REFERENCE.test(value) || isPlaceholder(value)) return false;
  if (!/^[\w.~+/=!@#^&*-]+$/.test(value)) return false;
  const letters = value.replace(/[^A-Za-z0-9]/g, '');
  if (!/[A-Za-z]/.test(letters) || !/\d/.test(letters) || new Set(letters).size < 9) return false;
  let changes = 0;
  for (let i = 1; i < letters.length; i++) {
    const before = classOf(letters.charCodeAt(i - 1));
    const after = classOf(letters.charCodeAt(i));
    if (before !== after && !(before === 'upper' && after === 'lower')) changes++;
  }
  return changes >= 1 + 0.24 * (letters.length - 1);
}

/** Whether a value looks like a password that a person would be given: 8 characters or more of three classes. */
function looksLikePassword(value: string): boolean {
  if (value.length < 8 || REFERENCE.test(value) || isPlaceholder(value)) return false;
  if (/pass(?:word|wd)?|secret|admin|test/i.test(value)) return false;
  const isOf = [/[a-z]/, /[A-Z]/, /\d/, /[^\w.:/,;|=-]/].filter(kind => kind.test(value)).length;
  return isOf >= 3 && /\d/.test(value);
}

function classOf(code: number): 'digit' | 'upper' | 'lower' {
  if (code <= 57) return 'digit';
  return code <= 90 ? 'upper' : 'lower';
}

/** Whether this is base64url of a JSON object that names an algorithm. */
function isJwtHeader(part: string): boolean {
  return /"alg"\s*:/.test(Buffer.from(part.slice(0, 2048), 'base64url').toString('latin1'));
}
