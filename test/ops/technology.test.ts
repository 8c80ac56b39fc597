import { SUPPORTED_PROTOCOL_VERSIONS } from '@modelcontextprotocol/server';
import { expect, it } from 'vitest';
import { checkTechnology, isNewer } from '#src/cli/doctor/technology.js';
import { technologyNotices } from '#src/ops/technology.js';
import { FACTS } from '#src/ops/technology-facts.js';
import { compareFacts } from '../../scripts/facts.mjs';

const at = (day: string) => Date.parse(`${day}T12:00:00Z`);
const of = (version: string, day: string) =>
  technologyNotices(version, at(day)).map(({ about, level, message }) => `${level} ${about}: ${message}`);

it('says when a line of Node ends, ends soon, or has ended', () => {
  expect(of('20.20.2', '2026-01-01')[0]).toBe('ok node line: Node 20 gets security fixes until 2026-04-30');
  expect(of('20.20.2', '2026-03-01')[0]).toBe(
    'warn node line: Node 20 gets no security fixes after 2026-04-30',
  );
  expect(of('20.20.2', '2026-04-30')[0]).toBe(
    'warn node line: Node 20 gets no security fixes after 2026-04-30',
  );
  expect(of('20.20.2', '2026-05-01')[0]).toBe(
    'warn node line: Node 20 has had no security fixes since 2026-04-30',
  );
  expect(technologyNotices('20.20.2', at('2026-11-28'))[0]!.wayOut).toContain('Node.js 26 or 24 or 22');
  expect(technologyNotices('20.20.2', at('2027-11-28'))[0]!.wayOut).toContain('Node.js 26 or 24;');
  expect(of('99.0.0', '2026-11-28')[0]).toContain('ok node line: Node 99 is not among the lines known');
});

it('says which revision of MCP is not spoken', () => {
  expect(of('24.0.0', '2026-11-28')[1]).toBe(
    'ok mcp: speaks the newest revision of MCP, 2026-07-28, and the earlier ones',
  );
  const newer = { ...FACTS, mcp: { ...FACTS.mcp, revisions: ['2027-02-02', ...FACTS.mcp.revisions] } };
  expect(technologyNotices('24.0.0', at('2027-03-01'), newer)[1]).toMatchObject({
    level: 'warn',
    message: expect.stringContaining('2027-02-02'),
  });
});

it('says when its facts are old', () => {
  expect(of('24.0.0', '2027-11-28')).toHaveLength(2);
  expect(of('24.0.0', '2027-12-01')[2]).toMatch(/^warn facts: .* 368 days ago/);
});

it('is compared with its sources, and what could not be asked is not passed as the same', () => {
  const states = (found: Parameters<typeof compareFacts>[1]) =>
    compareFacts(FACTS, found, at('2026-11-28')).map(({ state, message }) => `${state}: ${message}`);
  const { endOfLife } = FACTS.node;
  const schedule = Object.fromEntries(
    Object.entries(endOfLife).map(([line, end]) => [`v${line}`, { start: '2020-01-01', end }]),
  );
  const old = {
    v0: { start: '2013-03-11', end: '2016-12-31' },
    v99: { start: '2099-01-01', end: '2102-01-01' },
  };
  const same = 'same: as the facts say';
  expect(
    states({
      versions: ['0.12.18', '26.10.0'],
      schedule: { ...schedule, ...old },
      revisions: ['draft', '2026-07-28'],
    }),
  ).toEqual([same, same, same]);
  expect(states({})).toEqual(Array(3).fill('unknown: cannot be told'));
  const sooner = { ...schedule, v24: { start: '2025-05-06', end: '2028-01-31' } };
  expect(states({ versions: ['28.0.0', '28.0.1'], schedule: sooner, revisions: ['2027-02-02'] })).toEqual([
    'differs: Node 28 is out, and is not among the facts',
    `differs: Node 24 ends on 2028-01-31, the facts say ${endOfLife[24]}`,
    'differs: MCP 2027-02-02 is out, and is not among the facts',
  ]);
});

it('names the revisions that the SDK speaks', () => {
  const [modern, ...handshaken] = FACTS.mcp.spoken;
  expect(handshaken).toEqual(SUPPORTED_PROTOCOL_VERSIONS);
  // Of the era without a handshake the SDK tells no list; the tests of clients speak it.
  expect(modern).toBe('2026-07-28');
});

it('is part of what doctor finds, which names a way out', () => {
  const findings = checkTechnology('18.0.0', at('2026-11-28'));
  expect(findings.map(({ check, state }) => `${state} ${check}`)).toEqual(['warn node line', 'ok mcp']);
  expect(findings[0]!.wayOut).toBeTruthy();
});

it.each([
  ['0.1.1', '0.1.0', true],
  ['0.10.0', '0.9.9', true],
  ['0.1.0', '0.1.0', false],
  ['0.1.0', '0.2.0', false],
  ['1.0.0-beta.1', '1.0.0', false],
  ['1.0.0', '1.0.0-beta.1', true],
])('%s beside %s', (one, other, newer) => {
  expect(isNewer(one, other)).toBe(newer);
});
