/** What a command must fulfil whoever sends it: sizes, counts, and no credentials. Shapes are the transport's to check. */
import { CodedError } from '../domain/errors.js';
import type { DeleteCommand, SearchQuery, UpsertCommand } from '../domain/face.js';
import { LIMITS } from '../domain/limits.js';
import type { JsonValue, Metadata } from '../domain/model.js';
import { isMarkName } from '../domain/moment.js';
import { nearest } from '../domain/nearest.js';
import { findSecret } from '../domain/secrets.js';
import { CHANGE_TYPES, type HistoryQuery, type MarkCommand, type ReembedCommand } from '../domain/travel.js';
import type { CompleteQuery, WatchQuery } from '../domain/watch.js';

/**
 * @param maxItems one file's chunks are one transaction, however many they are
 * @throws CodedError INVALID_ARGUMENT, TOO_LARGE, SECRET_SUSPECTED
 */
export function checkUpsert(command: UpsertCommand, maxItems: number = LIMITS.itemsPerCall): void {
  checkCollectionName(command.collection);
  checkCount('items', command.items.length, maxItems);
  command.items.forEach((item, index) => {
    const at = `items[${index}]`;
    if (item.id !== undefined) checkId(`${at}.id`, item.id);
    if (item.text !== undefined) {
      checkBytes(`${at}.text`, item.text, LIMITS.textBytes, 'Split it, or ingest it as a file.');
      if (item.vector === undefined && item.text.trim() === '')
        throw invalid(`${at}.text: it is empty`, 'Give a text, or leave it out and give a vector.');
      if (!command.allow_secrets) checkSecret(`${at}.text`, item.text);
    }
    if (item.metadata !== undefined && !command.allow_secrets)
      checkMetadataSecrets(`${at}.metadata`, item.metadata);
    if (item.vector !== undefined && (item.vector.length < 1 || item.vector.length > LIMITS.dimension))
      throw invalid(`${at}.vector: ${item.vector.length} components`, `Give 1 to ${LIMITS.dimension}.`);
  });
}

/**
 * What an imported item must fulfil, wherever it comes from.
 * @param at what errors call it
 * @throws CodedError INVALID_ARGUMENT, TOO_LARGE, SECRET_SUSPECTED
 */
export function checkImported(
  at: string,
  { id, text, metadata }: { readonly id: string; readonly text: string; readonly metadata: Metadata },
  allowSecrets: boolean,
): void {
  checkId(`${at}.id`, id);
  checkBytes(`${at}.text`, text, LIMITS.textBytes, 'Split it.');
  checkDepth(`${at}.metadata`, metadata, METADATA_DEPTH);
  checkBytes(
    `${at}.metadata`,
    JSON.stringify(metadata),
    LIMITS.metadataBytes,
    'Put long values into the text.',
  );
  if (allowSecrets) return;
  checkSecret(`${at}.text`, text);
  checkMetadataSecrets(`${at}.metadata`, metadata);
}

/** What the tools of the server let through. Whoever walks through metadata does so by recursion. */
const METADATA_DEPTH = 32;

function checkDepth(at: string, value: JsonValue, levels: number): void {
  if (value === null || typeof value !== 'object') return;
  if (levels === 0)
    throw invalid(`${at}: it is nested more than ${METADATA_DEPTH} levels deep`, 'Put it into the text.');
  for (const member of Object.values(value)) checkDepth(at, member, levels - 1);
}

/** @throws CodedError INVALID_ARGUMENT, TOO_LARGE */
export function checkDelete(command: DeleteCommand): void {
  const { ids, where } = command;
  if ((ids === undefined) === (where === undefined))
    throw invalid(
      ids === undefined ? 'neither ids nor where was given' : 'both ids and where were given',
      'Give exactly one: ids, or a where that is not empty.',
    );
  if (ids !== undefined) {
    checkCount('ids', ids.length);
    ids.forEach((id, index) => {
      checkId(`ids[${index}]`, id);
    });
  }
  if (where !== undefined && Object.keys(where).length === 0)
    throw invalid('where: it is empty and would match every item', 'Name what to delete.');
}

/** @throws CodedError INVALID_ARGUMENT, TOO_LARGE, SECRET_SUSPECTED */
export function checkMark({ name, note }: MarkCommand): void {
  if (!isMarkName(name))
    throw invalid(
      `name: ${JSON.stringify(name.slice(0, 80))} cannot name a moment`,
      'Begin with a letter; then letters, digits and . _ / - are fine, 128 in all. Words that mean a time, such as "today", are taken.',
    );
  if (note === undefined) return;
  checkBytes('note', note, LIMITS.noteBytes, 'Store a long note as an item.');
  checkSecret('note', note);
}

/** @throws CodedError INVALID_ARGUMENT */
export function checkReembed({ to, collections, abandon, dry_run, budget_ms }: ReembedCommand): void {
  if (collections?.length === 0)
    throw invalid('collections: it is empty', 'Leave it out to embed every collection anew.');
  if (abandon === true && (to !== undefined || dry_run === true || budget_ms !== undefined))
    throw invalid('abandon: it goes with nothing but collections', 'Leave out to, dry_run and budget_ms.');
  if (budget_ms !== undefined && !(budget_ms >= 0))
    throw invalid(`budget_ms: ${budget_ms}`, 'Give a number of milliseconds.');
}

export function checkCollectionName(name: string): void {
  if (name === '' || name !== name.trim() || /[\p{Cc}\p{Cs}\p{Bidi_Control}]/u.test(name))
    throw invalid(
      'collection: a name is needed, without control characters or spaces at its ends',
      'Use a plain name such as "default".',
    );
  checkBytes('collection', name, LIMITS.collectionNameBytes, 'Use a shorter name.');
}

export function checkId(at: string, id: string): void {
  if (id === '') throw invalid(`${at}: it is empty`, 'Give an id, or leave it out for a new one.');
  if (/\p{Cs}/u.test(id)) throw invalid(`${at}: it is not valid Unicode`, 'Remove lone surrogates.');
  checkBytes(at, id, LIMITS.idBytes, 'Use a shorter id, such as a hash of it.');
}

export function checkCount(at: string, count: number, max: number = LIMITS.itemsPerCall): void {
  if (count < 1 || count > max) throw invalid(`${at}: ${count} entries`, `Give 1 to ${max} a call.`);
}

/** Bounds the entries of a page. @throws CodedError INVALID_ARGUMENT */
export function checkLimit(limit: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > LIMITS.listLimit)
    throw invalid(`limit: ${limit}`, `Give 1 to ${LIMITS.listLimit}.`);
}

/** @throws CodedError INVALID_ARGUMENT, TOO_LARGE */
export function checkSearch(query: SearchQuery): void {
  if (!Number.isInteger(query.k) || query.k < 1 || query.k > LIMITS.k)
    throw invalid(`k: ${query.k}`, `Give 1 to ${LIMITS.k}.`);
  if (query.collections?.length === 0)
    throw invalid('collections: it is empty', 'Leave it out to search everything.');
  const text = query.query?.trim() ?? '';
  if (text === '' && query.mode === 'keyword')
    throw invalid('query: mode "keyword" needs words', 'Give a query.');
  if (text === '' && query.vector === undefined)
    throw invalid('neither query nor vector was given', 'Say what to look for in `query`.');
  if (query.query !== undefined && Buffer.byteLength(query.query) > LIMITS.queryBytes)
    throw new CodedError('TOO_LARGE', `query: more than ${LIMITS.queryBytes} bytes`, 'Ask in fewer words.');
}

/** @throws CodedError INVALID_ARGUMENT */
export function checkHistory({ limit, actor, types }: HistoryQuery): void {
  checkLimit(limit);
  if (actor === '') throw invalid('actor: it is empty', 'Give a part of a client name, or leave it out.');
  if (types?.length === 0) throw invalid('types: it is empty', 'Leave it out for every type.');
  for (const type of types ?? []) {
    if ((CHANGE_TYPES as readonly string[]).includes(type)) continue;
    const near = nearest(type, CHANGE_TYPES);
    throw invalid(
      `types: ${JSON.stringify(type)} is none${near === undefined ? '' : `, did you mean "${near}"?`}`,
      `There are: ${CHANGE_TYPES.join(', ')}.`,
    );
  }
}

function checkBytes(at: string, text: string, limit: number, wayOut: string): void {
  // A UTF-16 unit is at most three bytes of UTF-8, so most texts need not be measured.
  if (text.length * 3 <= limit) return;
  const bytes = Buffer.byteLength(text);
  if (bytes > limit)
    throw new CodedError('TOO_LARGE', `${at}: ${bytes} bytes; the limit is ${limit}`, wayOut);
}

function checkMetadataSecrets(at: string, value: JsonValue): void {
  if (typeof value === 'string') checkSecret(at, value);
  else if (Array.isArray(value))
    value.forEach((entry, index) => {
      checkMetadataSecrets(`${at}[${index}]`, entry);
    });
  else if (value !== null && typeof value === 'object')
    for (const [key, entry] of Object.entries(value)) checkMetadataSecrets(`${at}.${key}`, entry);
}

function checkSecret(at: string, text: string): void {
  const found = findSecret(text);
  if (found)
    throw new CodedError(
      'SECRET_SUSPECTED',
      `${at}: characters ${found.start} to ${found.end} look like a credential (${found.kind})`,
      'The log keeps every version for good: leave the credential out, or say allow_secrets: true if it is none.',
      { details: { kind: found.kind } },
    );
}

function invalid(message: string, wayOut: string): CodedError {
  return new CodedError('INVALID_ARGUMENT', message, wayOut);
}

/** Longest wait of a watch, in ms: whoever asks again tells that somebody still listens. */
const MAX_WAIT_MS = 60_000;

/** @throws CodedError INVALID_ARGUMENT */
export function checkWatch({ after, wait_ms = 0 }: WatchQuery): void {
  if (after !== undefined && !(Number.isSafeInteger(after) && after >= 0))
    throw invalid(`after: ${after} is no sequence number`, 'Give the head of an earlier answer.');
  if (!(wait_ms >= 0 && wait_ms <= MAX_WAIT_MS))
    throw invalid(`wait_ms: ${wait_ms}`, `Give 0 to ${MAX_WAIT_MS} milliseconds.`);
}

/** Names that one completion suggests at most: what MCP allows. */
export const MAX_COMPLETIONS = 100;

/** @throws CodedError INVALID_ARGUMENT */
export function checkComplete({ of, collection, limit = MAX_COMPLETIONS }: CompleteQuery): void {
  if (of === 'ids' && collection === undefined)
    throw invalid('collection: missing', 'Name the collection whose ids are wanted.');
  if (!(Number.isSafeInteger(limit) && limit >= 1 && limit <= MAX_COMPLETIONS))
    throw invalid(`limit: ${limit}`, `Give 1 to ${MAX_COMPLETIONS}.`);
}
