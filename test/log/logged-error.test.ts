import { expect, test } from 'vitest';
import { CodedError } from '#src/domain/errors.js';
import { loggedError } from '#src/log/logged-error.js';

const TEXT = 'zebrafinch';

function thrown(work: () => unknown): Error {
  try {
    work();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

test.each<[string, Error]>([
  ['what JSON.parse quotes', thrown(() => JSON.parse(`"${TEXT}`.slice(1)))],
  ['a URL that Node keeps beside the message', thrown(() => new URL(TEXT))],
  ['an argument that Node repeats', thrown(() => Buffer.alloc(1).toString(TEXT as never))],
  ['a pattern', thrown(() => new RegExp(`${TEXT}(`))],
  ['a message whose lines look like frames', new Error(`no\n    at ${TEXT}`)],
  [
    'a cause and fields of its own',
    Object.assign(new Error('x', { cause: new Error(TEXT) }), { input: TEXT }),
  ],
  [
    'a message that was changed afterwards',
    Object.assign(new Error(`a\n    at ${TEXT}`), { message: 'b\nc' }),
  ],
])('%s is not logged, its type and frames are', (_name, error) => {
  const logged = loggedError(error, false);
  expect(JSON.stringify(logged)).not.toContain(TEXT);
  expect(logged).toMatchObject({ type: error.name });
});

test('what a program gets wrong, a system call and a coded error say', () => {
  const missing = thrown(() => (undefined as unknown as { x: { y: number } }).x.y);
  expect(loggedError(missing, false)).toMatchObject({
    type: 'TypeError',
    message: expect.stringContaining('Cannot read properties of undefined'),
    stack: expect.stringMatching(/^ {4}at .*logged-error\.test/),
  });
  const full = Object.assign(new Error('ENOSPC: no space'), { code: 'ENOSPC', errno: -28, syscall: 'write' });
  expect(loggedError(full, false)).toMatchObject({ code: 'ENOSPC', message: 'ENOSPC: no space' });
  const coded = new CodedError('TOO_LARGE', 'it is too large', 'Make it smaller.');
  expect(loggedError(coded, false)).toMatchObject({ code: 'TOO_LARGE', message: 'it is too large' });
});

test('with texts the message is logged; what is no error is told by its type', () => {
  expect(loggedError(new Error(TEXT), true)).toMatchObject({ message: TEXT });
  expect([loggedError(TEXT, false), loggedError(TEXT, true)]).toEqual(['a string', TEXT]);
});
