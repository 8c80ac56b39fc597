/** How the store is: what `status` tells. */
import type { StatusAnswer } from '../domain/face.js';
import { Fact, Section, Stored, Time } from './parts.js';
import { bytes, count, number, visible } from './text.js';

export function StateView({ status }: { status: StatusAnswer | undefined }) {
  if (status === undefined) return <p role="status">Loading…</p>;
  return (
    <>
      <Section title="The store" id="store-title">
        <dl class="facts">
          <Fact name="State">
            <span class={`badge ${status.store.state}`}>{status.store.state}</span>{' '}
            {status.store.reason !== undefined && visible(status.store.reason)}
          </Fact>
          <Fact name="Last event">
            {number(status.head.seq)}, <Time time={status.head.time} />
          </Fact>
          <Fact name="Directory">
            <Stored text={status.store.path} />
          </Fact>
          <Fact name="Durability">{status.store.durability}</Fact>
          {status.store.whole_from !== undefined && (
            <Fact name="Whole from">
              event {status.store.whole_from.seq}, <Time time={status.store.whole_from.time} />
            </Fact>
          )}
          <Fact name="Checkpoint">
            event {number(status.checkpoint.seq)}, {count(status.checkpoint.age_events, 'event')} ago
          </Fact>
          <Fact name="Embedder">
            <Stored text={status.embedder.space} /> ({status.embedder.state})
          </Fact>
          <Fact name="Memory">
            {bytes(status.memory.rss_bytes)}, of which vectors {bytes(status.memory.vectors_bytes)}
          </Fact>
          <Fact name="Disk">
            the store takes {bytes(status.disk.store_bytes)}; {bytes(status.disk.free_bytes)} are free
          </Fact>
        </dl>
        {status.checkpoint.warnings.map(warning => (
          <p class="warning" key={warning}>
            {visible(warning)}
          </p>
        ))}
      </Section>
      <Section title="Collections" id="collections-title">
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
        <section class="scroll" tabIndex={0} aria-label="Table of collections">
          <table>
            <thead>
              <tr>
                <th scope="col">name</th>
                <th scope="col">items</th>
                <th scope="col">passages</th>
                <th scope="col">index</th>
              </tr>
            </thead>
            <tbody>
              {status.collections.map(({ name, items, passages, index }) => (
                <tr key={name}>
                  <th scope="row">
                    <a href={`#/items/${encodeURIComponent(name)}`}>
                      <Stored text={name} />
                    </a>
                  </th>
                  <td>{number(items)}</td>
                  <td>{number(passages)}</td>
                  <td>
                    {index.kind}
                    {index.pending > 0 && `, ${number(index.pending)} waiting`}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      </Section>
    </>
  );
}
