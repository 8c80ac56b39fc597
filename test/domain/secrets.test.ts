import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findSecret } from '#src/domain/secrets.js';

/*
 * No credential of an issuer's shape stands in this file as a whole: scanners of pushed code would rightly complain.
 * They are put together from a prefix and a body drawn at random.
 */
const BASE62 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const HEX = '0123456789abcdef';
const random = (alphabet: string, length: number): fc.Arbitrary<string> =>
  fc
    .array(fc.constantFrom(...alphabet), { minLength: length, maxLength: length })
    .map(characters => characters.join(''))
    // What fast-check shrinks to or biases towards ("aaaa") is a placeholder to us, and rightly.
    .filter(text => new Set(text).size >= Math.min(alphabet.length, length) * 0.5);

const issued: [kind: string, prefix: string, alphabet: string, length: number][] = [
  ['AWS access key', 'AKIA', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', 16],
  ['GitHub token', 'ghp_', BASE62, 36],
  ['GitHub token', 'github_pat_', BASE62, 82],
  ['GitLab token', 'glpat-', BASE62, 20],
  ['npm token', 'npm_', BASE62, 36],
  ['Slack token', 'xoxb-1', BASE62, 40],
  ['Anthropic key', 'sk-ant-api03-', BASE62, 95],
  ['OpenAI key', 'sk-proj-', BASE62, 48],
  ['API key', 'sk-', BASE62, 48],
  ['Stripe key', 'sk_live_', BASE62, 24],
  ['Google API key', 'AIza', BASE62, 35],
  ['Hugging Face token', 'hf_', BASE62, 34],
  ['DigitalOcean token', 'dop_v1_', HEX, 64],
  ['token of this server', 'mvs_', BASE62, 43],
];

test.each(issued)('%s: %s…', (kind, prefix, alphabet, length) => {
  fc.assert(
    fc.property(random(alphabet, length), body => {
      const before = 'Put this into your shell: "';
      expect(findSecret(`${before}${prefix}${body}" and go on.`)).toEqual({
        kind,
        start: before.length,
        end: before.length + prefix.length + length,
      });
    }),
    // A draw of 36 characters holds one of our placeholder words once in some 10 000 times.
    { numRuns: 50, seed: 1 },
  );
});

const assignments = [
  (value: string) => `api_key: ${value}`,
  (value: string) => `  "apiKey": "${value}",`,
  (value: string) => `export AWS_SECRET_ACCESS_KEY=${value}`,
  (value: string) => `const clientSecret = '${value}';`,
  (value: string) => `password=${value}`,
  (value: string) => `config['token'] => "${value}"`,
  (value: string) => `curl -H "Authorization: Bearer ${value}" https://api.example.com`,
];

test('a random value under a telling name is found nearly always', () => {
  for (const write of assignments) {
    for (const [alphabet, length] of [
      [BASE62, 40],
      [HEX, 32],
    ] as const) {
      const values = fc.sample(random(alphabet, length), { numRuns: 300, seed: 7 });
      const missed = values.filter(value => findSecret(write(value)) === undefined);
      // One in fifty draws looks like a word or a placeholder: the price of leaving documentation alone.
      expect(missed.length).toBeLessThanOrEqual(15);
    }
  }
});

const word = (text: string): string => Buffer.from(text).toString('base64url');

test.each([
  ['private key', `-----BEGIN RSA PRIVATE KEY-----\n${'MIIEowIBAAKCAQEAz9Yc3kP0vQ7t'.repeat(6)}\n`],
  ['private key', `key = "-----BEGIN PRIVATE KEY-----\\n${'MIIEvgIBADANBgkqhkiG9w0BAQEF'.repeat(6)}\\n"`],
  ['JSON Web Token', `${word('{"alg":"HS256"}')}.${word('{"sub":"42","admin":true}')}.pX2mQz7VbN4kLr8sTw1y`],
  ['password in a URL', 'DATABASE_URL=postgres://app:Zk4pQ9wX7m@db.internal:5432/app'],
  ['password in a URL', 'redis://:tR7vK2mQ9xLw@cache:6379'],
  ['assigned credential', 'password: Tr0ub4dor&3'],
])('%s', (kind, text) => {
  expect(findSecret(text)).toMatchObject({ kind });
});

test.each([
  'Set OPENAI_API_KEY=YOUR_API_KEY before you start.',
  'api_key: "xxxxxxxxxxxxxxxxxxxxxxxx"',
  'token = <token>',
  'const apiKey = process.env.OPENAI_API_KEY_V2;',
  'password: os.environ["DB_PASSWORD_2024"]',
  'aws_access_key_id = AKIAIOSFODNN7EXAMPLE',
  'aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  'ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
  'GITHUB_TOKEN: $' + '{{ secrets.GITHUB_TOKEN }}',
  'postgres://postgres:postgres@localhost:5432/test',
  'mysql://user:password123@host/db',
  'https://user:$' + '{PASSWORD1}@example.com',
  '-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----',
  'passwordHash: string; accessToken: Base64UrlString2',
  'token: getAccessTokenV2FromVault1()',
  'secret: my-service-secret-name-v2',
  'nextToken = previousPage.nextToken2AfterCursor',
  'The token: a string of at least 32 characters, drawn at random.',
  '"integrity": "sha512-Kd9ZpQ3mXv7bT2nLw8RyCf5GhJ6sA1uE0oI4tM=="',
  'commit d178252cda0b7e9f1a2b3c4d5e6f708192a3b4c5',
  'Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==',
  'password = 0123456789abcdefghij',
  '',
])('no credential: %s', text => {
  expect(findSecret(text)).toBeUndefined();
});

test('a megabyte of any repeated beginning ends', () => {
  const sizeBytes = 1024 * 1024;
  const pieces = [
    'eyJ',
    'eyJaaaaaaaaaaaa.',
    `eyJ${'a'.repeat(20)}.eyJ${'a'.repeat(20)}.`,
    'token=',
    'token=1',
    'tokena1B2',
    'password = "',
    'password="A1!',
    '-----BEGIN A ',
    '-----BEGIN PRIVATE KEY-----',
    'http://a:',
    'a://',
    'a+',
    'sk-ant-',
    'ghp_',
    'authorization: bearer ',
    'authorization:bearer\t',
    ' ',
    'a',
  ];
  // Quadratic work on a megabyte would take hours, and run into the test's time limit.
  for (const piece of pieces) {
    expect(findSecret(piece.repeat(Math.ceil(sizeBytes / piece.length)))).toBeUndefined();
  }
});

test('no rule is left out of which the text has an example', () => {
  // Has something of all that any rule asks for, and is none.
  const everything = ` ----- : = @ ${'word'.repeat(5)}`;
  expect(findSecret(everything)).toBeUndefined();
  const piece = fc.oneof(
    random(BASE62, 24),
    fc.constantFrom(...issued.map(([, prefix]) => prefix)),
    fc.constantFrom(
      'password',
      'Token',
      ': ',
      '=',
      ' = "',
      'https://',
      'me:',
      '@host',
      'Authorization: Bearer ',
    ),
    fc.constantFrom('-----BEGIN PRIVATE KEY-----', '\n', ' ', 'eyJhbGciOiJIUzI1NiJ9', '.', 'hunter2!A'),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), pieces => {
      const text = pieces.join('');
      expect(findSecret(text)).toEqual(findSecret(`${text}\n${everything}`));
    }),
    { numRuns: 2000 },
  );
});
