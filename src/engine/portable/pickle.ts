/**
 * Reads the part of Python's pickle format that Chroma writes its index_metadata in: dictionaries, texts, whole numbers, None, and objects by
 * their attributes. It makes nothing but these: names of classes are read over, and nothing is called.
 */

/** A dictionary, by text or number; or an object, by attribute. */
export type PickledMap = Map<PickledValue, PickledValue>;
export type PickledValue = string | number | null | boolean | PickledMap | readonly PickledValue[];

const MARK = Symbol('mark');
type Entry = PickledValue | typeof MARK;

/** @throws RangeError for what it does not read, and for bytes that are cut off */
export function readPickle(bytes: Buffer): PickledValue {
  const stack: Entry[] = [];
  const memo = new Map<number, Entry>();
  let at = 0;
  const take = (length: number): number => {
    if (at + length > bytes.length) throw new RangeError('the pickle is cut off');
    at += length;
    return at - length;
  };
  const text = (length: number): string => bytes.toString('utf8', take(length), at);
  const line = (): void => {
    const end = bytes.indexOf(0x0a, at);
    if (end < 0) throw new RangeError('the pickle is cut off');
    at = end + 1;
  };
  const pop = (): PickledValue => {
    const value = stack.pop();
    if (value === undefined || value === MARK)
      throw new RangeError('the pickle has nothing where a value belongs');
    return value;
  };
  const popToMark = (): PickledValue[] => {
    const mark = stack.lastIndexOf(MARK);
    if (mark < 0) throw new RangeError('the pickle has no mark where one belongs');
    return (stack.splice(mark) as PickledValue[]).slice(1);
  };
  const top = (): PickledMap => {
    const value = stack.at(-1);
    if (value instanceof Map) return value;
    throw new RangeError('the pickle sets entries of what is no dictionary');
  };
  const recall = (index: number): void => {
    const value = memo.get(index);
    if (value === undefined) throw new RangeError('the pickle refers to what is not there');
    stack.push(value);
  };
  const remember = (index: number): void => {
    memo.set(index, stack.at(-1)!);
  };
  const setPairs = (pairs: readonly PickledValue[]): void => {
    const map = top();
    for (let i = 0; i + 1 < pairs.length; i += 2) map.set(pairs[i]!, pairs[i + 1]!);
  };
  /** By opcode, as Python's pickletools names them. */
  const opcodes: Readonly<Record<string, () => void>> = {
    '\x80': () => void take(1), // PROTO
    '\x95': () => void take(8), // FRAME
    '}': () => void stack.push(new Map()), // EMPTY_DICT
    ')': () => void stack.push([]), // EMPTY_TUPLE
    ']': () => void stack.push([]), // EMPTY_LIST
    '(': () => void stack.push(MARK), // MARK
    N: () => void stack.push(null), // NONE
    '\x88': () => void stack.push(true), // NEWTRUE
    '\x89': () => void stack.push(false), // NEWFALSE
    K: () => void stack.push(bytes.readUInt8(take(1))), // BININT1
    M: () => void stack.push(bytes.readUInt16LE(take(2))), // BININT2
    J: () => void stack.push(bytes.readInt32LE(take(4))), // BININT
    '\x8a': () => {
      // LONG1
      const length = bytes.readUInt8(take(1));
      let value = 0;
      const start = take(length);
      for (let i = length - 1; i >= 0; i--) value = value * 256 + bytes[start + i]!;
      stack.push(value);
    },
    '\x8c': () => void stack.push(text(bytes.readUInt8(take(1)))), // SHORT_BINUNICODE
    X: () => void stack.push(text(bytes.readUInt32LE(take(4)))), // BINUNICODE
    '\x94': () => remember(memo.size), // MEMOIZE
    q: () => remember(bytes.readUInt8(take(1))), // BINPUT
    r: () => remember(bytes.readUInt32LE(take(4))), // LONG_BINPUT
    h: () => recall(bytes.readUInt8(take(1))), // BINGET
    j: () => recall(bytes.readUInt32LE(take(4))), // LONG_BINGET
    s: () => {
      // SETITEM
      const value = pop();
      setPairs([pop(), value]);
    },
    u: () => setPairs(popToMark()), // SETITEMS
    c: () => {
      // GLOBAL: the name of a class
      line();
      line();
      stack.push(null);
    },
    '\x93': () => {
      // STACK_GLOBAL: the same
      pop();
      pop();
      stack.push(null);
    },
    '\x81': () => {
      // NEWOBJ: an object of the class, by its attributes
      pop();
      pop();
      stack.push(new Map());
    },
    b: () => {
      // BUILD
      const state = pop();
      if (state instanceof Map) for (const [key, value] of state) top().set(key, value);
    },
  };
  for (;;) {
    const opcode = String.fromCharCode(bytes[take(1)]!);
    if (opcode === '.') return pop(); // STOP
    const run = opcodes[opcode];
    if (run === undefined)
      throw new RangeError(`the pickle has an opcode that is not read here: ${opcode.charCodeAt(0)}`);
    run();
  }
}
