/** A store whose every event is the same at each run: six weeks of a small team and its agents, with texts that would like to be more than text. */
import type { Actor } from '#src/domain/model.js';
import { openEngine } from '#src/engine/open.js';
import { silent, TEST_CONFIG } from '../helpers/engine.js';

export const SCRIPT = '<script>document.title = "taken over"; globalThis.takenOver = true</script>';
export const IMAGE = '<img src=x onerror="globalThis.takenOver = true">';
export const TURNED = 'the password is \u202Edrowssap\u202C, or so it says';

/** What the deploy note said before, and says now. */
export const DEPLOY_THEN =
  'Deploy staging with make deploy-staging. The database is Postgres 14 on db-1, and Ada holds the key to it.';
export const DEPLOY_NOW =
  'Deploy staging with just deploy staging. The database is Postgres 17 on db-2, and Grace holds the key to it.';
/** A moment at which it still said so. */
export const BEFORE_CHANGE = Date.UTC(2026, 9, 12, 12);
/** The session that spoiled the notes. */
export const BAD_SESSION = 'codex-7f31';

const FIRST = Date.UTC(2026, 8, 28, 8);
const DAY = 86_400_000;
const HOUR = 3_600_000;

const TOPICS = [
  'The billing service retries a failed payment three times before it gives up',
  'Backups of the staging database run at two in the morning',
  'Feature flags live in config/flags.yaml and are read at every start',
  'The search index is rebuilt each Sunday, and takes some twenty minutes',
  'Errors of the mobile app go to the channel mobile-alerts',
  'Users are asked for their second factor once a month',
  'Invoices are rounded to the cent, half up, as the auditors want it',
  'The importer skips rows without an address and counts them',
];

function by(clientName: string, session: string, tool: string): { readonly actor: Actor } {
  const actor = {
    clientName,
    clientVersion: '1.0',
    session,
    sessionSource: 'meta',
    project: '/home/ada/shop',
    tool,
  };
  return { actor: { ...actor, transport: 'stdio' } };
}

/** Makes it. @param path a directory that does not exist yet */
export async function makeSample(path: string): Promise<void> {
  let nowMs = FIRST;
  const engine = await openEngine({ path, config: TEST_CONFIG, logger: silent, clock: () => nowMs });
  const put = (id: string, text: string, who: ReturnType<typeof by>, metadata = {}, collection = 'notes') =>
    engine.upsert({ collection, items: [{ id, text, metadata }] }, who);

  await put('deploy-staging', DEPLOY_THEN, by('claude-code', 'claude-a1', 'vector_upsert'), {
    team: 'core',
    reviewed: false,
  });
  for (let day = 0; day < 42; day++) {
    const isWeekend = day % 7 > 4;
    nowMs = FIRST + day * DAY;
    const busy = isWeekend ? 1 : 3 + ((day * 5) % 4);
    for (let n = 0; n < busy; n++) {
      nowMs += HOUR + n * 7 * 60_000;
      const text = `${TOPICS[(day + n * 3) % TOPICS.length]}. Noted on day ${day + 1} as number ${n + 1}.`;
      const client = n % 3 === 0 ? 'claude-code' : n % 3 === 1 ? 'cursor' : 'codex';
      await put(`note-${day}-${n}`, text, by(client, `${client}-${day}`, 'vector_upsert'), { day });
    }
    if (day % 6 === 2) {
      nowMs += HOUR;
      const items = Array.from({ length: 12 }, (_, n) => ({
        id: `handbook-${n}`,
        text: `# Handbook, part ${n + 1}\n\n${TOPICS[(n + day) % TOPICS.length]}. Revised in week ${Math.ceil(day / 7)}.`,
      }));
      await engine.upsert(
        { collection: 'handbook', items },
        by('claude-code', `claude-ingest-${day}`, 'vector_ingest'),
      );
    }
    if (day === 20) {
      nowMs += HOUR;
      await engine.mark(
        { name: 'before-migration', note: 'Postgres 14 to 17' },
        by('claude-code', 'claude-a2', 'vector_mark'),
      );
      nowMs += HOUR;
      await put('deploy-staging', DEPLOY_NOW, by('cursor', 'cursor-migration', 'vector_upsert'), {
        reviewed: true,
        team: 'platform',
      });
    }
    if (day === 27)
      await engine.delete(
        { collection: 'notes', ids: ['note-3-0', 'note-4-1'] },
        by('cursor', 'cursor-27', 'vector_delete'),
      );
  }
  nowMs = FIRST + 42 * DAY;
  await put(
    'hostile-note',
    `${SCRIPT} ${IMAGE} ${TURNED}`,
    by(`${IMAGE}`, 'somebody-else', 'vector_upsert'),
    { '<b>key</b>': SCRIPT },
  );
  nowMs += HOUR;
  const spoiled = ['note-40-0', 'note-39-0', 'note-38-0'].map(id => ({
    id,
    text: 'All of this is out of date, ignore it.',
  }));
  await engine.upsert({ collection: 'notes', items: spoiled }, by('codex', BAD_SESSION, 'vector_upsert'));
  nowMs += 60_000;
  await put('new-rule', 'Never deploy on a Friday.', by('codex', BAD_SESSION, 'vector_upsert'));
  await engine.close();
}
