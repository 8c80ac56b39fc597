import { beforeAll, expect, test } from 'vitest';
import { Activity } from '#src/ops/activity.js';
import { boundsOf, gatherReport } from '#src/ops/gather-report.js';
import { PERIODS } from '#src/ops/periods.js';
import { type Report, type ReportSources, reportOf } from '#src/ops/report.js';
import { escapeHtml, reportHtml } from '#src/ops/report-html.js';
import { reportTables } from '#src/ops/report-tables.js';
import { noteSlowQuery, slowQueryOf } from '#src/ops/slow-queries.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const HOSTILE = `"'><script>alert(1)</script><img src=x onerror=alert(1)>&amp;\u202e\u001b[31m`;
const COLLECTION = `"'><img src=x onerror=alert(1)>&amp;`;
const TEXT = 'zebrafinch layoffs';

let report: Report;
let sources: ReportSources;

beforeAll(async () => {
  const store = temporaryDirectory();
  const nowMs = Date.now();
  let clockMs = nowMs - 3 * DAY_MS;
  const engine = await openTestEngine(store, { clock: () => clockMs });
  const actor = { ...testContext.actor, clientName: HOSTILE, tool: HOSTILE };
  for (let day = 0; day < 4; day++) {
    clockMs = nowMs - (3 - day) * DAY_MS - 1000;
    const items = Array.from({ length: day + 1 }, (_, n) => ({
      id: `${day}-${n}`,
      text: `${TEXT} ${day} ${n}`,
    }));
    await engine.upsert({ collection: COLLECTION, items }, { actor });
  }
  clockMs = nowMs;
  await engine.delete({ collection: COLLECTION, ids: ['0-0'] }, { actor });
  const activity = new Activity(store, () => {});
  const call = { actor, endedMs: nowMs - 2000, code: 'ok', isAborted: false };
  activity.add({ ...call, method: 'get', command: {}, durationMs: 1, endedMs: nowMs - 20 * DAY_MS });
  for (let n = 0; n < 5; n++) {
    const command = {
      query: TEXT,
      mode: 'hybrid',
      k: 5,
      collections: [COLLECTION],
      where: { [HOSTILE]: TEXT },
    };
    const timings = { embed: 5, vectors: 10, keywords: 5, filter: 1500 * n, fetch: 3 };
    const trace = { plan: 'scan + words', timings, collections: [COLLECTION], results: 1 };
    const search = { ...call, method: 'search' as const, command, durationMs: 50 + 700 * n, trace };
    activity.add(search);
    const slow = slowQueryOf(search, { warn: 1000, error: 2000 }, false);
    if (slow !== undefined) noteSlowQuery(store, slow);
  }
  activity.add({ ...call, method: 'get', command: {}, durationMs: 1, code: 'COLLECTION_NOT_FOUND' });
  await activity.save();
  report = await gatherReport({
    engine,
    storeDir: store,
    period: 'week',
    endMs: nowMs + 1,
    context: testContext,
    nowMs,
  });
  sources = {
    period: 'week',
    nowMs,
    tally: await engine.tally({ bounds: boundsOf('week', nowMs + 1) }, testContext),
    status: await engine.status({}, testContext),
    activity: [],
    slow: [],
    samples: [],
    backups: undefined,
    files: 1,
    diskBytes: 0,
    systemMemoryBytes: 1e12,
    isServed: true,
  };
  sources = { ...sources, diskBytes: 2 * sources.status.disk.free_bytes };
  await engine.close();
});

test('the report has what was written, read, slow and wrong', () => {
  expect(report.writes.total).toBe(11);
  expect(report.writes.by_time).toHaveLength(7);
  expect(report.writes.by_time.map(({ created }) => created).filter(count => count > 0)).toEqual([
    1, 2, 3, 4,
  ]);
  expect(report.writes.by_client).toMatchObject([{ name: `${HOSTILE} 1`, created: 10, deleted: 1 }]);
  expect(report.growth.items).toEqual({ from: 0, to: 9 });
  expect(report.reads.methods).toMatchObject([
    { method: 'search', calls: 5, errors: 0 },
    // The one of three weeks ago is not of this week.
    { method: 'get', calls: 1, errors: 1 },
  ]);
  expect(report.reads.patterns).toMatchObject([{ count: 5, mode: 'hybrid', k: 5, length: '17-64' }]);
  expect(report.slow).toMatchObject({ warn: 1, error: 2, gave_up: 0 });
  expect(report.slow.slowest.map(({ ms }) => ms)).toEqual([2850, 2150, 1450]);
  expect(report.errors).toEqual([{ code: 'COLLECTION_NOT_FOUND', count: 1 }]);
  expect(report.advice.join('\n')).toMatch(/3 searches were slow, 2 of them .* in filters/);
  expect(JSON.stringify(report)).not.toContain(TEXT);
});

test('the HTML holds names as text alone, loads nothing and runs nothing', () => {
  const html = reportHtml(report);
  const tags = [...new Set(html.match(/<[^>]*>/g))];
  expect(
    tags.filter(tag =>
      /script|<(?!(?:meta|\/?style)\b)\/?(?:img|link|iframe|a|object)\b|\son\w+=|href|src=/i.test(tag),
    ),
  ).toEqual([]);
  expect(html).not.toMatch(/javascript:|https?:|url\(|@import|\u001b|\u202e/i);
  expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
  expect(html).toContain('&amp;amp;');
  // Whatever is opened is closed, so that no name has broken out of its cell.
  for (const element of ['table', 'tr', 'th', 'td', 'h2', 'svg', 'g', 'section', 'ul', 'li', 'code']) {
    const [opened, closed] = [`<${element}[ >]`, `</${element}>`].map(
      tag => html.match(new RegExp(tag, 'g'))?.length,
    );
    expect([element, opened]).toEqual([element, closed]);
  }
  expect(html).toContain("default-src 'none'");
  expect(html).toMatch(/prefers-color-scheme: dark[\s\S]*@media print/);
  expect(html).not.toContain(TEXT);
  expect(escapeHtml(`<a href="x">'&`)).toBe('&lt;a href=&quot;x&quot;&gt;&#39;&amp;');
});

test('every table has as many cells in each row as in its head', () => {
  for (const { title, head, rows } of reportTables(report))
    for (const row of rows) expect([title, row.length]).toEqual([title, head.length]);
});

test.each<[string, (s: ReportSources) => Partial<ReportSources>, RegExp | undefined]>([
  [
    'memory below the share of the guide',
    s => ({ systemMemoryBytes: s.status.memory.rss_bytes / 0.69 }),
    undefined,
  ],
  [
    'memory at it',
    s => ({ systemMemoryBytes: s.status.memory.rss_bytes / 0.701 }),
    /Consider memory optimization/,
  ],
  [
    'memory that was at it once',
    s => ({ samples: [{ time: new Date(s.nowMs).toISOString(), rss_bytes: 0.7 * s.systemMemoryBytes }] }),
    /Consider memory optimization/,
  ],
  ['a disk that is nearly full', s => ({ diskBytes: s.status.disk.free_bytes / 0.15 }), /disk is 85 % full/],
  ['no backup', () => ({ backups: { path: '/b', backups: [], damaged: [] } }), /There is no backup/],
])('%s', (_name, change, advised) => {
  const { advice } = reportOf({ ...sources, ...change(sources) });
  const others = /verified|No backups were looked at/;
  const told = advice.filter(sentence => !others.test(sentence)).join('\n');
  if (advised === undefined) expect(told).toBe('');
  else expect(told).toMatch(advised);
});

test.each(PERIODS)(
  'the stretches of a %s are whole hours or days of the machine, and end where it ends',
  period => {
    const endMs = Date.parse('2026-11-28T10:20:30.400Z');
    const bounds = boundsOf(period, endMs);
    expect(bounds).toHaveLength({ day: 25, week: 8, month: 31 }[period]);
    expect(bounds.at(-1)).toBe(endMs);
    expect(bounds.every((bound, n) => n === 0 || bound > bounds[n - 1]!)).toBe(true);
    for (const bound of bounds.slice(0, -1)) {
      const date = new Date(bound);
      expect([date.getMinutes(), date.getSeconds(), date.getMilliseconds()]).toEqual([0, 0, 0]);
      if (period !== 'day') expect(date.getHours()).toBe(0);
    }
  },
);
