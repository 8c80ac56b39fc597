import { PERIODS } from '../../ops/periods.js';
import { LOG_LEVELS } from '../../variables.js';
import { CLIENT_IDS, LAUNCHER_CHOICES } from '../choices.js';
import type { Command, Delegated } from '../command.js';
import { HEALTH_EXIT } from '../exit-codes.js';
import { AS_OF, COLLECTION, JSON_OUT, MOMENTS, STORE } from '../options.js';

/** Commands that set up, and that tell how things are. */
export const WATCHING: readonly (Command | Delegated)[] = [
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
    load: async () => (await import('../commands/setup.js')).default,
  },
  {
    name: 'doctor',
    summary: 'Check Node, native modules, model, store, configuration and clients.',
    usage: '[options]',
    details:
      'Every line is ok, warn or fail, with what to do. It changes nothing but with --repair, which shows what it would mend and asks, or takes --yes:\nnotes and sockets of processes that are gone, modes, clients’ files that name a path that is not there, a missing checkpoint. Never the log.',
    options: {
      repair: { type: 'boolean', meaning: 'Mend what can be mended safely.' },
      updates: {
        type: 'boolean',
        meaning: 'Also ask the npm registry whether there is a newer version; nothing is asked otherwise.',
      },
      yes: { type: 'boolean', meaning: 'With --repair: do it without asking.' },
      ...STORE,
      ...JSON_OUT,
    },
    positionals: { min: 0, max: 0 },
    load: async () => (await import('../commands/doctor.js')).default,
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
    load: async () => (await import('../commands/status.js')).default,
  },
  {
    name: 'stats',
    summary: 'The report of a day, a week or a month: writes, reads, growth, what is slow, what is advised.',
    usage: '[options]',
    details: [
      'Writes are counted from the log; calls, latencies and slow searches from what the server noted in the store’s directory ops. See docs/logs.md.',
      '',
      'Examples:',
      '  mcp-vector-server stats                                            the last seven days',
      '  mcp-vector-server stats --period month --format html --to report.html --backups /backups/memory',
      MOMENTS,
    ].join('\n'),
    options: {
      period: { type: 'string', value: 'PERIOD', meaning: 'Default: week.', choices: PERIODS },
      at: { type: 'string', value: 'MOMENT', meaning: 'Where it ends. Default: now.' },
      format: {
        type: 'string',
        value: 'FORMAT',
        meaning: 'Default: text.',
        choices: ['text', 'json', 'html'],
      },
      to: { type: 'string', value: 'FILE', meaning: 'Write it there. Default: stdout.' },
      backups: {
        type: 'string',
        value: 'DIR',
        meaning: 'Where backups are kept, whose state is told as well. Default: VECTOR_BACKUP_DIR.',
      },
      ...STORE,
      ...JSON_OUT,
    },
    positionals: { min: 0, max: 0 },
    load: async () => (await import('../commands/stats.js')).default,
  },
  {
    name: 'logs',
    summary: 'The log file of the servers, with what was put aside and compressed before it.',
    usage: '[options]',
    details: [
      'It reads VECTOR_LOG_FILE, which must be set as it is for the servers. Times are those of this machine’s zone.',
      '',
      'Examples:',
      '  mcp-vector-server logs --level warn --since yesterday',
      '  mcp-vector-server logs --follow',
      '  mcp-vector-server logs --json --since "1 hour ago" | jq \'select(.tool=="vector_search") | .durationMs\'',
    ].join('\n'),
    options: {
      follow: { type: 'boolean', short: 'f', meaning: 'Go on with what is written, until Ctrl-C.' },
      level: {
        type: 'string',
        value: 'LEVEL',
        meaning: 'Only lines as grave as this, or graver.',
        choices: LOG_LEVELS.filter(level => level !== 'silent'),
      },
      since: {
        type: 'string',
        value: 'TIME',
        meaning: 'Only lines from then on: an ISO time, or "2 hours ago", "yesterday 14:00".',
      },
      lines: {
        type: 'string',
        short: 'n',
        value: 'N',
        meaning: 'The last N lines, 0 to 100000. Default: 100; with --since all.',
      },
      ...STORE,
      ...JSON_OUT,
    },
    positionals: { min: 0, max: 0 },
    load: async () => (await import('../commands/logs.js')).default,
  },
  {
    name: 'schedule',
    summary: 'The recurring work of a server: times, next and last runs; run, pause or resume a job.',
    usage: '[run | pause | resume <job>] [options]',
    details: [
      'Backups, verification, checkpoints and the horizon, by the server that has the store: docs/schedules.md. Times are in the machine’s zone.',
      'A run that is asked for is done by that server, also when this command is ended; where none runs, by this command.',
      'Exit code 1: a job fails, or the one that was run did not end well.',
      '',
      'Examples:',
      '  mcp-vector-server schedule',
      '  mcp-vector-server schedule run backup',
      '  mcp-vector-server schedule pause verify',
    ].join('\n'),
    options: { ...STORE, ...JSON_OUT },
    positionals: { min: 0, max: 2 },
    load: async () => (await import('../commands/schedule.js')).default,
  },
  {
    name: 'health',
    summary: 'How the server and its store do: ok, warn or critical, and what to do.',
    usage: '[options]',
    details: [
      'Asks the server that has the store, from any window or beside it; where none runs it reads the store itself and says so.',
      'Limits are set by VECTOR_HEALTH_LIMITS, and count where the server was started.',
      '',
      'Examples:',
      '  mcp-vector-server health                                what is not ok comes with what to do',
      '  mcp-vector-server health --history --since "2 days ago" what the samples say',
      '  mcp-vector-server health --test-alert                   whether alerts arrive',
      MOMENTS,
    ].join('\n'),
    options: {
      history: { type: 'boolean', meaning: 'The samples that were kept, instead of how it is now.' },
      since: {
        type: 'string',
        value: 'MOMENT',
        meaning: 'With --history: from then on. Default: a day ago.',
      },
      resolution: {
        type: 'string',
        value: 'WHICH',
        meaning: 'With --history: as samples were taken, or hourly means. Default: whichever reaches back.',
        choices: ['sample', 'hour'],
      },
      limit: {
        type: 'string',
        short: 'n',
        value: 'N',
        meaning: 'With --history: how many of the newest are printed. Default: 60; with --json all.',
      },
      'test-alert': { type: 'boolean', meaning: 'Send a test by every channel that is configured.' },
      ...STORE,
      ...JSON_OUT,
    },
    positionals: { min: 0, max: 0 },
    exits: {
      failed: HEALTH_EXIT.unknown,
      meaning:
        'Exit codes: 0 ok (or: the history was printed, the test was sent); 1 warn; 2 critical, or a test alert that was not sent; 3 it cannot be told: wrong usage or configuration, no store, a server of another version.',
    },
    load: async () => (await import('../commands/health.js')).default,
  },
  {
    name: 'capacity',
    summary: 'How the store grows, and when disk and memory will be full.',
    usage: '[options]',
    details: [
      'Growth by day, week and month comes from the log itself; memory and latency from the samples of health.',
      'A forecast rests on at least seven days, and says on how many.',
    ].join('\n'),
    options: { ...STORE, ...JSON_OUT },
    positionals: { min: 0, max: 0 },
    load: async () => (await import('../commands/capacity.js')).default,
  },
];
