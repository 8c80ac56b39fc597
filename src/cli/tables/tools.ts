import type { Command, Delegated } from '../command.js';

/** Commands that are programs of tools/ by another name. */
export const TOOLS: readonly (Command | Delegated)[] = [
  {
    name: 'backup',
    summary: 'Back up a store beside a running server; list, verify, pin or prune backups.',
    delegate: async () => (await import('../../../tools/backup.js')).main,
  },
  {
    name: 'horizon',
    summary: 'Erase what died before a moment: what would go, or do it, beside a running server.',
    delegate: async () => (await import('../../../tools/horizon.js')).main,
  },
  {
    name: 'redact',
    summary: 'Erase an item for good, with every version: what would go, or do it.',
    delegate: async () => (await import('../../../tools/redact.js')).main,
  },
  {
    name: 'export',
    summary: 'Write items as JSON lines that other programs can read, now or as of a moment.',
    delegate: async () => (await import('../../../tools/export.js')).main,
  },
  {
    name: 'import',
    summary: 'Take in what export wrote, or files of server-memory, Chroma and Qdrant.',
    delegate: async () => (await import('../../../tools/import.js')).main,
  },
  {
    name: 'reembed',
    summary: 'Embed collections anew with another model, beside a running server.',
    delegate: async () => (await import('../../../tools/reembed.js')).main,
  },
  {
    name: 'repair',
    summary: 'What can be saved of a damaged store, with or without backups, or save it.',
    delegate: async () => (await import('../../../tools/repair.js')).main,
  },
  {
    name: 'replay',
    summary:
      'The state at an earlier moment, a new store of it, the events as JSON lines, or the indexes rebuilt.',
    delegate: async () => (await import('../../../tools/replay.js')).main,
  },
  {
    name: 'restore',
    summary: 'Make a store of a backup, up to any moment that it holds.',
    delegate: async () => (await import('../../../tools/restore.js')).main,
  },
  {
    name: 'rollback',
    summary: 'Cut the log after a moment: what would go, or do it.',
    delegate: async () => (await import('../../../tools/rollback.js')).main,
  },
  {
    name: 'verify',
    summary: 'Verify a store, also beside a running server: every finding, and what to do.',
    delegate: async () => (await import('../../../tools/verify.js')).main,
  },
];
