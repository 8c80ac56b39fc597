/** How the store is: what `status` tells. */
import type { ComponentChildren } from 'preact';
import type { StatusAnswer } from '../domain/face.js';
import { Section, Stored, Time } from './parts.js';
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
      <Verification status={status} />
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

function Verification({ status: { verification, head } }: { status: StatusAnswer }) {
  const { completed, verified, findings, schedule, is_running } = verification;
  return (
    <Section title="Verification" id="verification-title">
      <dl class="facts">
        <Fact name="Findings">
          {findings.length === 0 ? (
            <span class="badge ok">none</span>
          ) : (
            <span class="badge poisoned">{count(findings.length, 'finding')}</span>
          )}
        </Fact>
        <Fact name="Last whole round">
          {completed === undefined ? (
            'none yet'
          ) : (
            <>
              up to event {number(completed.seq)} of {number(head.seq)}, <Time time={completed.time} />
            </>
          )}
        </Fact>
        {verified !== undefined && verified.seq !== completed?.seq && (
          <Fact name="This round">up to event {number(verified.seq)}</Fact>
        )}
        <Fact name="By itself">{schedule === 'off' ? 'off' : <code>{schedule}</code>}</Fact>
        <Fact name="At work">{is_running ? 'yes' : 'no'}</Fact>
      </dl>
      <ul>
        {findings.map(({ code, message, seq }) => (
          <li key={`${code}${seq}${message}`}>
            <code>{code}</code> {visible(message)}
          </li>
        ))}
      </ul>
    </Section>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
