import { describe, expect, it } from 'vitest';
import { inOrder, type Place } from '#src/engine/ingest/in-order.js';

describe('inOrder', () => {
  it('begins all at once, and gives each its turn when the one before it is done', async () => {
    const events: string[] = [];
    const work = async (name: string, { turn }: Place) => {
      events.push(`${name} begins`);
      await turn;
      events.push(`${name} writes`);
      return name.toUpperCase();
    };
    for await (const { item, outcome } of inOrder(['a', 'b', 'c'], work)) {
      expect(await outcome).toBe(item.toUpperCase());
      events.push(`${item} is done`);
    }
    const turns = ['a', 'b', 'c'].flatMap(name => [`${name} writes`, `${name} is done`]);
    expect(events).toEqual(['a begins', 'b begins', 'c begins', ...turns]);
  });

  it.each(['stops', 'fails', 'is cancelled'])('never gives the rest its turn when one %s', async how => {
    const caller = new AbortController();
    const written: string[] = [];
    let ended = 0;
    const work = async (name: string, { turn, signal }: Place) => {
      try {
        await turn;
        if (how === 'fails' && name === 'b') throw new Error('b fails');
        if (how === 'is cancelled' && name === 'b') {
          caller.abort(new Error('cancelled'));
          signal.throwIfAborted();
        }
        written.push(name);
      } finally {
        ended++;
      }
    };
    const run = async () => {
      for await (const { item, outcome } of inOrder(['a', 'b', 'c', 'd'], work, caller.signal)) {
        await outcome;
        if (how === 'stops' && item === 'b') return;
      }
    };
    if (how === 'stops') await run();
    else await expect(run()).rejects.toThrow(how === 'fails' ? 'b fails' : 'cancelled');
    expect(written).toEqual(how === 'stops' ? ['a', 'b'] : ['a']);
    expect(ended).toBe(4);
  });
});
