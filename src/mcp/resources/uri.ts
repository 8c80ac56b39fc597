/**
 * The addresses of resources:
 *
 * | URI | what |
 * |---|---|
 * | `vector://` | the collections |
 * | `vector://{collection}{?as_of}` | the items of a collection, now or at a moment |
 * | `vector://{collection}/{id}{?as_of}` | an item |
 * | `vector://{collection}/{id}/history` | its changes |
 *
 * Names and ids are percent-encoded, slashes too (RFC 6570, simple expansion), so that `a/history` as an id cannot be taken
 * for the history of `a`. Some clients decode slashes on the way; what has more segments than it should is then taken for
 * an id with slashes.
 */
import { CodedError } from '../../domain/errors.js';
import { anyCollection, asOf, id, type ObjectSchema } from '../schema.js';
import { validate } from '../validate.js';

export type Address =
  | { readonly kind: 'collections' }
  | { readonly kind: 'collection'; readonly collection: string; readonly as_of?: string }
  | { readonly kind: 'item'; readonly collection: string; readonly id: string; readonly as_of?: string }
  | { readonly kind: 'history'; readonly collection: string; readonly id: string };

const URI = /^vector:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i;
const HISTORY = '/history';

const PARTS: ObjectSchema = {
  type: 'object',
  properties: { collection: anyCollection, id, as_of: asOf },
};

/** @throws CodedError RESOURCE_NOT_FOUND where it is no address of this server; INVALID_ARGUMENT where a part of it is wrong */
export function parseUri(uri: string): Address {
  const match = URI.exec(uri);
  if (match === null)
    throw new CodedError(
      'RESOURCE_NOT_FOUND',
      'no resource of this server has such a URI',
      'Write vector://, vector://{collection}, vector://{collection}/{id} or vector://{collection}/{id}/history, percent-encoded, "#" as %23.',
    );
  const [, host = '', path = '', query] = match;
  const asked = query === undefined ? {} : parseQuery(query);
  if (host === '') {
    if (path !== '' || query !== undefined)
      throw invalid('collection: missing', 'The collection stands after vector://.');
    return { kind: 'collections' };
  }
  const isHistory = path.endsWith(HISTORY);
  const encodedId = isHistory ? path.slice(0, -HISTORY.length) : path;
  const parts = validate(PARTS, {
    collection: decoded('collection', host),
    ...(encodedId === '' ? {} : { id: decoded('id', encodedId) }),
    ...asked,
  }) as { collection: string; id?: string; as_of?: string };
  if (parts.id === undefined) return { kind: 'collection', ...parts };
  if (!isHistory) return { kind: 'item', ...parts, id: parts.id };
  if (parts.as_of !== undefined)
    throw invalid('as_of: a history has none', 'Leave it out, or ask for the item at that moment.');
  return { kind: 'history', collection: parts.collection, id: parts.id };
}

/** The URI that parseUri reads back as the same address. */
export function formatUri(address: Address): string {
  switch (address.kind) {
    case 'collections':
      return 'vector://';
    case 'collection':
      return `vector://${encoded(address.collection)}${queryOf(address)}`;
    case 'item':
      return `vector://${encoded(address.collection)}/${encoded(address.id)}${queryOf(address)}`;
    case 'history':
      return `vector://${encoded(address.collection)}/${encoded(address.id)}${HISTORY}`;
  }
}

const queryOf = ({ as_of }: { readonly as_of?: string }) =>
  as_of === undefined ? '' : `?as_of=${encoded(as_of)}`;

/** All but the unreserved characters of RFC 3986; encodeURIComponent leaves five more. */
const encoded = (text: string) =>
  encodeURIComponent(text).replace(
    /[!'()*]/g,
    character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );

function parseQuery(query: string): { as_of?: string } {
  const [name, ...values] = query.split('=');
  if (name !== 'as_of' || values.length !== 1 || query.includes('&'))
    throw invalid('only as_of may stand after "?", once', 'Write ?as_of= and a percent-encoded moment.');
  return { as_of: decoded('as_of', values[0]!) };
}

function decoded(name: string, part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    throw new CodedError(
      'INVALID_ARGUMENT',
      `${name}: is not percent-encoded UTF-8`,
      'Encode it as encodeURIComponent does, "%" as %25.',
      { cause: error },
    );
  }
}

const invalid = (what: string, wayOut: string) => new CodedError('INVALID_ARGUMENT', what, wayOut);
