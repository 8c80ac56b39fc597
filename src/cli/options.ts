/** Options that several commands share, and what their help says of moments. */
import type { Options } from './command.js';

export const STORE: Options = {
  store: {
    type: 'string',
    value: 'DIR',
    meaning: 'The store; default VECTOR_DB_PATH, else the directory in the user’s data.',
  },
};
export const JSON_OUT: Options = {
  json: { type: 'boolean', meaning: 'Print JSON for programs; errors too, on stderr.' },
};
export const COLLECTION: Options = {
  collection: { type: 'string', short: 'c', value: 'NAME', meaning: 'The collection. Default: default.' },
};
export const WHERE: Options = {
  where: {
    type: 'string',
    value: 'JSON',
    meaning: 'A filter over metadata, e.g. \'{"kind":"decision"}\' or \'{"year":{"$gte":2025}}\'.',
  },
};
export const BETWEEN: Options = {
  since: { type: 'string', value: 'MOMENT', meaning: 'Only what was last written at or after it.' },
  until: { type: 'string', value: 'MOMENT', meaning: 'Only what was last written at or before it.' },
};
export const AS_OF: Options = {
  'as-of': { type: 'string', value: 'MOMENT', meaning: 'Answer as a store rebuilt to that moment would.' },
};
/** For the commands that take moments. */
export const MOMENTS = [
  'A MOMENT is an event ("1042"), an ISO time ("2026-03-01", "2026-03-01T14:30Z"), a relative time ("2 hours ago",',
  '"yesterday 14:00", "last monday"), the name of a mark ("before-cleanup"), or the moment just before one ("before 1042").',
].join('\n');
export const SECRETS: Options = {
  'allow-secrets': { type: 'boolean', meaning: 'Store text that looks like a credential all the same.' },
};

export const YES: Options = {
  yes: { type: 'boolean', meaning: 'Do it, instead of showing what would be done.' },
};
export const CONFLICTS: Options = {
  'overwrite-conflicts': { type: 'boolean', meaning: 'Also take back what someone else changed later.' },
};
