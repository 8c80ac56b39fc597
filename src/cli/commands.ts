import { CHANGE_TYPES } from '../domain/travel.js';
import { CLIENT_IDS, LAUNCHER_CHOICES } from './choices.js';
import type { Command, Delegated, Options } from './command.js';

const STORE: Options = {
  store: {
    type: 'string',
    value: 'DIR',
    meaning: 'The store; default VECTOR_DB_PATH, else the directory in the user’s data.',
  },
};
const JSON_OUT: Options = {
  json: { type: 'boolean', meaning: 'Print JSON for programs; errors too, on stderr.' },
};
const COLLECTION: Options = {
  collection: { type: 'string', short: 'c', value: 'NAME', meaning: 'The collection. Default: default.' },
};
const WHERE: Options = {
  where: {
    type: 'string',
    value: 'JSON',
    meaning: 'A filter over metadata, e.g. \'{"kind":"decision"}\' or \'{"year":{"$gte":2025}}\'.',
  },
};
const BETWEEN: Options = {
  since: { type: 'string', value: 'MOMENT', meaning: 'Only what was last written at or after it.' },
  until: { type: 'string', value: 'MOMENT', meaning: 'Only what was last written at or before it.' },
};
const AS_OF: Options = {
  'as-of': { type: 'string', value: 'MOMENT', meaning: 'Answer as a store rebuilt to that moment would.' },
};
/** For the commands that take moments. */
const MOMENTS = [
  'A MOMENT is an event ("1042"), an ISO time ("2026-03-01", "2026-03-01T14:30Z"), a relative time ("2 hours ago",',
  '"yesterday 14:00", "last monday"), the name of a mark ("before-cleanup"), or the moment just before one ("before 1042").',
].join('\n');
const SECRETS: Options = {
  'allow-secrets': { type: 'boolean', meaning: 'Store text that looks like a credential all the same.' },
};

const YES: Options = { yes: { type: 'boolean', meaning: 'Do it, instead of showing what would be done.' } };
const CONFLICTS: Options = {
  'overwrite-conflicts': { type: 'boolean', meaning: 'Also take back what someone else changed later.' },
};

/** Every command, in the order of --help. */
export const COMMANDS: readonly (Command | Delegated)[] = [
  {
    name: 'stdio',
    summary: 'Be the MCP server on stdin and stdout (also without any command).',
    usage: '[options]',
    options: STORE,
    positionals: { min: 0, max: 0 },
    load: async () => (await import('./commands/stdio.js')).default,
  },
  {
    name: 'setup',
    summary: 'Print, or write, what makes the server known to a client.',
    usage: '[--client NAME [--write] [--project]] | --rules [--write FILE]',
    details: [
      'Examples:',
      '  mcp-vector-server setup                                 one line for each client',
      '  mcp-vector-server setup --client cursor --write         into ~/.cursor/mcp.json',
      '  mcp-vector-server setup --client vscode --project       the snippet for .vscode/mcp.json',
      '  mcp-vector-server setup --rules --write CLAUDE.md       the lines that make an agent use its memory',
      '',
      '--write makes a backup, keeps everything else in the file, and changes nothing when run again.',
    ].join('\n'),
    options: {
      client: { type: 'string', value: 'NAME', meaning: 'Which client.', choices: CLIENT_IDS },
      write: { type: 'boolean', meaning: 'Write it into the file, after a backup.' },
      project: { type: 'boolean', meaning: 'For the project in the working directory only.' },
      rules: { type: 'boolean', meaning: 'The lines for CLAUDE.md or AGENTS.md instead.' },
      name: {
        type: 'string',
        value: 'NAME',
        meaning: 'What the client calls the server. Default: vector-memory.',
      },
      launch: {
        type: 'string',
        value: 'HOW',
        meaning: 'Start it by npx, or by the path of this installation. Default: whichever fits.',
        choices: LAUNCHER_CHOICES,
      },
      ...STORE,
      ...JSON_OUT,
    },
    positionals: { min: 0, max: 1 },
    load: async () => (await import('./commands/setup.js')).default,
  },
  {
    name: 'doctor',
    summary: 'Check Node, native modules, model, store, configuration and clients.',
    usage: '[options]',
    details: 'Every line is ok, warn or fail, with what to do. It changes nothing.',
    options: { ...STORE, ...JSON_OUT },
    positionals: { min: 0, max: 0 },
    load: async () => (await import('./commands/doctor.js')).default,
  },
  {
    name: 'status',
    summary: 'Head, collections, index, checkpoint, memory and disk of a store.',
    usage: '[options]',
    details: MOMENTS,
    options: {
      collection: { ...COLLECTION.collection!, meaning: 'Only this collection.' },
      ...AS_OF,
      ...STORE,
      ...JSON_OUT,
    },
    positionals: { min: 0, max: 0 },
    load: async () => (await import('./commands/status.js')).default,
  },
  {
    name: 'search',
    summary: 'Find items by meaning and by words.',
    usage: '<query> [options]',
    details: `--as-of asks the state of then; --since and --until ask the present one, for what was last written in between.\n${MOMENTS}`,
    options: {
      k: { type: 'string', short: 'k', value: 'N', meaning: 'How many results, 1 to 100. Default: 10.' },
      mode: {
        type: 'string',
        value: 'MODE',
        meaning: 'Default: hybrid.',
        choices: ['hybrid', 'semantic', 'keyword'],
      },
      collection: {
        ...COLLECTION.collection!,
        meaning: 'Only this collection. Default: all that can be searched.',
      },
      ...WHERE,
      ...BETWEEN,
      ...AS_OF,
      'min-score': { type: 'string', value: 'X', meaning: 'Leave out results that score less.' },
      ...STORE,
      ...JSON_OUT,
    },
    positionals: { min: 1, max: 1 },
    load: async () => (await import('./commands/search.js')).default,
  },
  {
    name: 'ingest',
    summary: 'Read files and folders into a collection.',
    usage: '<paths…> [options]',
    details:
      'Markdown, plain text and source code. Unchanged files are not read again, and chunks of files that vanished below\nthe paths are deleted. .gitignore is obeyed; .env and key files are skipped.',
    options: {
      ...COLLECTION,
      include: {
        type: 'string',
        value: 'GLOB',
        meaning: 'Only files that match; may be repeated.',
        isRepeatable: true,
      },
      exclude: {
        type: 'string',
        value: 'GLOB',
        meaning: 'No files that match; may be repeated.',
        isRepeatable: true,
      },
      'no-prune': { type: 'boolean', meaning: 'Keep chunks of files that vanished.' },
      'prune-over-half': { type: 'boolean', meaning: 'Prune even if more than half would go.' },
      ...SECRETS,
      ...STORE,
      ...JSON_OUT,
    },
    positionals: { min: 1, max: 1000 },
    load: async () => (await import('./commands/ingest.js')).default,
  },
  {
    name: 'upsert',
    summary: 'Store a text, or update the item of an id.',
    usage: '[<text> | -] [options]',
    details: 'With "-" the text is read from stdin. The same text twice is one item.',
    options: {
      ...COLLECTION,
      id: { type: 'string', value: 'ID', meaning: 'The item’s id. Default: a random one.' },
      metadata: { type: 'string', value: 'JSON', meaning: 'Merged into what is there; null removes a key.' },
      ...SECRETS,
      ...STORE,
      ...JSON_OUT,
    },
    positionals: { min: 0, max: 1 },
    load: async () => (await import('./commands/upsert.js')).default,
  },
  {
    name: 'get',
    summary: 'Print items by id.',
    usage: '<ids…> [options]',
    details: MOMENTS,
    options: { ...COLLECTION, ...AS_OF, ...STORE, ...JSON_OUT },
    positionals: { min: 1, max: 1000 },
    load: async () => (await import('./commands/get.js')).default,
  },
  {
    name: 'list',
    summary: 'List items, newest first.',
    usage: '[options]',
    details: MOMENTS,
    options: {
      ...COLLECTION,
      ...WHERE,
      ...BETWEEN,
      ...AS_OF,
      limit: { type: 'string', short: 'n', value: 'N', meaning: 'How many, 1 to 1000. Default: 50.' },
      cursor: { type: 'string', value: 'CURSOR', meaning: 'Go on where an earlier list ended.' },
      ...STORE,
      ...JSON_OUT,
    },
    positionals: { min: 0, max: 0 },
    load: async () => (await import('./commands/list.js')).default,
  },
  {
    name: 'history',
    summary: 'Who wrote what, when, through which client and tool, newest first.',
    usage: '[<id>] [options]',
    details:
      'Of one item with what each change did to its text and metadata: [-removed-]{+added+}, in colours on a terminal.\nWithout an id and a collection: of the whole store, with marks and changes of model.',
    options: {
      collection: {
        ...COLLECTION.collection!,
        meaning: 'Only this collection. Default: all; with an id: default.',
      },
      since: { type: 'string', value: 'MOMENT', meaning: 'Only changes at or after it.' },
      until: { type: 'string', value: 'MOMENT', meaning: 'Only changes at or before it.' },
      actor: {
        type: 'string',
        value: 'NAME',
        meaning: 'Only by clients whose name holds this, in any case.',
      },
      session: { type: 'string', value: 'ID', meaning: 'Only of this session.' },
      project: { type: 'string', value: 'DIR', meaning: 'Only by clients that worked in this directory.' },
      types: {
        type: 'string',
        value: 'TYPES',
        meaning: `Only these, with commas: ${CHANGE_TYPES.join(', ')}.`,
      },
      limit: { type: 'string', short: 'n', value: 'N', meaning: 'How many, 1 to 1000. Default: 50.' },
      cursor: { type: 'string', value: 'CURSOR', meaning: 'Go on where an earlier history ended.' },
      ...STORE,
      ...JSON_OUT,
    },
    positionals: { min: 0, max: 1 },
    load: async () => (await import('./commands/history.js')).default,
  },
  {
    name: 'diff',
    summary: 'What was added, changed and removed between two moments.',
    usage: '<from> [<to>] [options]',
    details: [
      'Texts are compared word by word: [-removed-]{+added+}, in colours on a terminal. <to> is now unless given.',
      'Examples:',
      '  mcp-vector-server diff "2 hours ago"',
      '  mcp-vector-server diff yesterday today -c docs',
      '  mcp-vector-server diff before-refactoring 1042',
    ].join('\n'),
    options: {
      collection: { ...COLLECTION.collection!, meaning: 'Only this collection. Default: all.' },
      ...WHERE,
      limit: { type: 'string', short: 'n', value: 'N', meaning: 'How many items, 1 to 1000. Default: 50.' },
      cursor: { type: 'string', value: 'CURSOR', meaning: 'Go on where an earlier diff ended.' },
      ...STORE,
      ...JSON_OUT,
    },
    positionals: { min: 1, max: 2 },
    load: async () => (await import('./commands/diff.js')).default,
  },
  {
    name: 'delete',
    summary: 'Delete items by id or by filter.',
    usage: '<ids…> | --where JSON [options]',
    details: 'A delete is an event like any other: what was there stays in the log.',
    options: {
      ...COLLECTION,
      ...WHERE,
      'dry-run': { type: 'boolean', meaning: 'Only say what would go.' },
      ...STORE,
      ...JSON_OUT,
    },
    positionals: { min: 0, max: 1000 },
    load: async () => (await import('./commands/delete.js')).default,
  },
  {
    name: 'mark',
    summary: 'Name this moment, or list the marks.',
    usage: '[<name> [<note>]] [options]',
    details:
      'A mark can stand wherever a moment can: search --as-of before-refactoring, revert --to before-refactoring.',
    options: { ...STORE, ...JSON_OUT },
    positionals: { min: 0, max: 2 },
    load: async () => (await import('./commands/mark.js')).default,
  },
  {
    name: 'undo',
    summary: 'Take back the last write, session or ingest.',
    usage: '[write | session [<id>] | ingest] [--yes]',
    details: [
      'Shows what would come back; --yes does it. It is undone by appending, so that it can be undone as well.',
      'What someone else changed later is left as it is.',
    ].join('\n'),
    options: { ...YES, ...CONFLICTS, ...STORE, ...JSON_OUT },
    positionals: { min: 0, max: 2 },
    load: async () => (await import('./commands/undo.js')).default,
  },
  {
    name: 'revert',
    summary: 'Take back everything after a moment, or what a session, a span, an item or an event changed.',
    usage: '--to MOMENT | --id ID… | --session ID | --since MOMENT [--until MOMENT] | --seq N… [--yes]',
    details: [
      'Shows what would come back; --yes does it.',
      '',
      'Examples:',
      '  mcp-vector-server revert --to "today 09:00"                     everything since this morning',
      '  mcp-vector-server revert --id deploy-staging --yes              the last change of one item',
      '  mcp-vector-server revert --since 1042 --until 1050 -c docs      what these events changed in docs',
    ].join('\n'),
    options: {
      to: { type: 'string', value: 'MOMENT', meaning: 'Everything after it; with --id of those items only.' },
      id: {
        type: 'string',
        value: 'ID',
        meaning: 'The last change of this item; may be repeated.',
        isRepeatable: true,
      },
      session: { type: 'string', value: 'ID', meaning: 'What this session changed.' },
      since: { type: 'string', value: 'MOMENT', meaning: 'What was changed at or after it.' },
      until: { type: 'string', value: 'MOMENT', meaning: 'And at or before it.' },
      seq: {
        type: 'string',
        value: 'N',
        meaning: 'What this event changed; may be repeated.',
        isRepeatable: true,
      },
      collection: { ...COLLECTION.collection!, meaning: 'Only in this collection.' },
      plan: { type: 'string', value: 'PLAN', meaning: 'Refuse unless it is exactly what a preview showed.' },
      ...YES,
      ...CONFLICTS,
      ...STORE,
      ...JSON_OUT,
    },
    positionals: { min: 0, max: 0 },
    load: async () => (await import('./commands/revert.js')).default,
  },
  {
    name: 'reembed',
    summary: 'Embed collections anew with another model, beside a running server.',
    delegate: async () => (await import('../../tools/reembed.js')).main,
  },
  {
    name: 'replay',
    summary:
      'The state at an earlier moment, a new store of it, the events as JSON lines, or the indexes rebuilt.',
    delegate: async () => (await import('../../tools/replay.js')).main,
  },
  {
    name: 'rollback',
    summary: 'Cut the log after a moment: what would go, or do it.',
    delegate: async () => (await import('../../tools/rollback.js')).main,
  },
  {
    name: 'verify',
    summary: 'Walk the whole log and report every finding.',
    delegate: async () => (await import('../../tools/verify.js')).main,
  },
];
