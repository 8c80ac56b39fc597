// What the Map engine remembers: every change, one after the other, and the state after each by replaying them.
import { CodedError } from '#src/domain/errors.js';
import { parseMoment } from '#src/domain/moment.js';

/** Changes have a second each, from a day long past. */
const timeMsOf = seq => 1_760_000_000_000 + seq * 1000;
export const timeOf = seq => new Date(timeMsOf(seq)).toISOString();

export class MapLog {
  /** {seq, first, last, type, actor, collection, id, item, before, mark}: `item` is absent once it is deleted. */
  changes = [];

  get seq() {
    return this.changes.length;
  }

  /** Appends changes as one transaction. @returns the first one's number, 0 for none */
  append(changes, actor) {
    const first = this.seq + 1;
    const last = this.seq + changes.length;
    for (const change of changes) {
      const seq = this.seq + 1;
      const { collection, id, item } = change;
      const before = id === undefined ? undefined : this.stateAt(this.seq).get(collection)?.get(id);
      const stamped = item && { ...item, id, collection, version: seq, updated_at: timeOf(seq), actor };
      this.changes.push({ ...change, ...(stamped && { item: stamped }), before, seq, first, last, actor });
      this.state = undefined;
    }
    return changes.length === 0 ? 0 : first;
  }

  /** @returns {Map<string, Map<string, object>>} the items by collection and id after the first `seq` changes */
  stateAt(seq) {
    if (seq === this.seq && this.state) return this.state;
    const collections = new Map();
    for (const { collection, id, item } of this.changes.slice(0, seq)) {
      if (collection === undefined) continue;
      if (!collections.has(collection)) collections.set(collection, new Map());
      if (item) collections.get(collection).set(id, item);
      else collections.get(collection).delete(id);
    }
    if (seq === this.seq) this.state = collections;
    return collections;
  }

  /** @returns the last change that a moment takes in */
  resolve(text) {
    const moment = parseMoment(text, { nowMs: Date.now() });
    let seq = this.seq;
    if (moment.kind === 'time')
      seq = this.changes.filter(
        change => timeMsOf(change.seq) <= moment.timeMs - (moment.exclusive ? 1 : 0),
      ).length;
    else if (moment.kind !== 'now') {
      seq = moment.kind === 'seq' ? moment.seq : this.markSeq(moment.name);
      const change = this.changes[seq - 1];
      if (change) seq = moment.exclusive ? change.first - 1 : change.last;
    }
    if (seq < 1)
      throw new CodedError('MOMENT_TOO_EARLY', `"${text}" is before the first event`, 'Ask later.');
    if (seq > this.seq) throw new CodedError('MOMENT_TOO_LATE', `"${text}" is beyond the last`, 'Say "now".');
    return { seq, time: timeOf(seq) };
  }

  markSeq(name) {
    const change = this.changes.find(({ mark }) => mark?.name === name);
    if (change) return change.seq;
    throw new CodedError('MARK_NOT_FOUND', `there is no mark "${name}"`, 'Look at the marks in the status.');
  }

  /** The changes between two moments, both inclusive. */
  within({ since, until }) {
    let from = 1;
    if (since !== undefined) {
      from = this.resolve(since).seq;
      if (/^\d+$/.test(since)) from = Number(since);
      // Of what happened at a time, what happened at it is within.
      else if (timeOf(from) < since) from += 1;
    }
    const to = until === undefined ? this.seq : this.resolve(until).seq;
    return this.changes.filter(({ seq }) => seq >= from && seq <= to);
  }
}
