import { encodeLost } from '#wal/lost.js';
import { decodeRecord, encodeRecord, eraseRecord, type LogRecord, type RecordFields } from '#wal/record.js';

/** What of a record differs from a transaction of its own that holds `body <seq>`. */
export type Link = Partial<Omit<RecordFields, 'seq' | 'prevHash'>> & { readonly is?: 'erased' | 'lost' };

/** Stored values of records 1 and on, each of which follows the one before, as a log holds them. */
export const chained = (...links: readonly Link[]): Buffer[] => chainedAfter(undefined, ...links);

/** Stored values of records that follow another one. */
export function chainedAfter(before: Buffer | undefined, ...links: readonly Link[]): Buffer[] {
  let previous: LogRecord | undefined = before && decodeRecord(before, Number(before.readBigUInt64LE(8)));
  return links.map(({ is, ...given }) => {
    const seq = (previous?.seq ?? 0) + 1;
    const open = previous?.last === false ? previous : undefined;
    const fields: RecordFields = {
      ...{ type: 40, seq, wallMs: 1000 * seq, logicalMs: 1000 * seq, actor: 0, last: true },
      ...{ txFirst: open?.txFirst ?? seq, txIndex: open ? open.txIndex + 1 : 0, long: open?.long ?? false },
      ...{ prevHash: previous?.hash ?? 0n, body: Buffer.from(`body ${seq}`) },
      ...given,
    };
    const { bytes, hash } = encodeRecord(fields);
    const value =
      is === 'erased'
        ? eraseRecord(bytes, seq, Buffer.from(`left of ${seq}`))
        : is === 'lost'
          ? encodeLost(fields, hash)
          : bytes;
    previous = decodeRecord(value, seq);
    return value;
  });
}
