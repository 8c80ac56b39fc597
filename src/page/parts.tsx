/** Small pieces that several views share. Stored text is only ever a child: Preact makes text nodes of it. */
import type { ComponentChildren } from 'preact';
import type { Level } from '../domain/health.js';
import type { Actor, Metadata } from '../domain/model.js';
import type { WordRun } from '../domain/travel.js';
import type { CallError } from './api.js';
import { exactTime, visible } from './text.js';

export function Failure({ error }: { error: CallError | undefined }) {
  if (error === undefined) return null;
  return (
    <p class="failure" role="alert">
      <strong>{visible(error.message)}.</strong> {visible(error.wayOut)} <code>{error.code}</code>
    </p>
  );
}

export const Stored = ({ text }: { text: string }) => <bdi class="stored">{visible(text)}</bdi>;

export function Time({ time }: { time: string }) {
  return <time dateTime={time}>{exactTime(time)}</time>;
}

export function Who({ actor }: { actor: Actor | null | undefined }) {
  if (!actor) return <span class="quiet">unknown</span>;
  return (
    <span class="who">
      <Stored text={actor.clientName} /> · <Stored text={actor.tool} />
    </span>
  );
}

/** What both texts share is shortened, far from any change. */
const SHARED_CHARS = 240;

export function Words({ runs }: { runs: readonly WordRun[] }) {
  return (
    <p class="text">
      {runs.map(({ op, text }, index) => {
        if (op === '-')
          return (
            <del key={index}>
              <span class="spoken">removed: </span>
              {visible(text)}
            </del>
          );
        if (op === '+')
          return (
            <ins key={index}>
              <span class="spoken">added: </span>
              {visible(text)}
            </ins>
          );
        return <span key={index}>{shortened(visible(text), index > 0, index < runs.length - 1)}</span>;
      })}
    </p>
  );
}

function shortened(text: string, isAfter: boolean, isBefore: boolean): string {
  const head = isAfter ? SHARED_CHARS : 0;
  const tail = isBefore ? SHARED_CHARS : 0;
  const points = [...text];
  if (points.length <= head + tail + 1) return text;
  return `${points.slice(0, head).join('')} … ${points.slice(points.length - tail).join('')}`;
}

export function MetadataChange({
  older = {},
  newer = {},
  keys,
}: {
  older?: Metadata | undefined;
  newer?: Metadata | undefined;
  keys: readonly string[];
}) {
  if (keys.length === 0) return null;
  return (
    <table class="fields">
      <caption class="spoken">Metadata that changed</caption>
      <thead>
        <tr>
          <th scope="col">field</th>
          <th scope="col">before</th>
          <th scope="col">after</th>
        </tr>
      </thead>
      <tbody>
        {keys.map(key => (
          <tr key={key}>
            <th scope="row">
              <Stored text={key} />
            </th>
            <td>{Object.hasOwn(older, key) && <del>{visible(JSON.stringify(older[key]))}</del>}</td>
            <td>{Object.hasOwn(newer, key) && <ins>{visible(JSON.stringify(newer[key]))}</ins>}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function Section({ title, id, children }: { title: string; id: string; children: ComponentChildren }) {
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {children}
    </section>
  );
}

export function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

export const LevelBadge = ({ level }: { level: Level }) => <span class={`badge ${level}`}>{level}</span>;

export const itemLink = (collection: string, id: string): string =>
  `#/items/${encodeURIComponent(collection)}/${encodeURIComponent(id)}`;
