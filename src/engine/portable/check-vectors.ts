import { CodedError } from '../../domain/errors.js';
import { LIMITS } from '../../domain/limits.js';
import type { Embedded, Space } from '../../domain/model.js';
import type { ImportSpace } from '../../domain/portable.js';
import { isGenuineSpace } from '../../domain/space.js';

/** A space that comes from elsewhere: whatever names another model must not pass for this one's. @throws CodedError INVALID_ARGUMENT */
export function checkSpace(space: Space): void {
  const { id, dimension } = space;
  if (!(Number.isInteger(dimension) && dimension >= 1 && dimension <= LIMITS.dimension))
    throw invalid(`a space of ${dimension} dimensions`, `There are 1 to ${LIMITS.dimension}.`);
  if (!isGenuineSpace(space))
    throw invalid(
      `the parts of space ${JSON.stringify(id)} do not give its id`,
      'Give the space as it was exported.',
    );
}

/**
 * Passages and vectors that come from elsewhere: an event with vectors of another shape could not be applied.
 * @param at what errors call the item
 * @throws CodedError INVALID_ARGUMENT, DIMENSION_MISMATCH
 */
export function checkEmbedded(
  at: string,
  text: string,
  { passages, vectors }: Embedded,
  { space, metric }: ImportSpace,
): void {
  const { dimension, provider } = space;
  if (passages.length === 0) throw invalid(`${at}.passages: there is none`, 'Give one for each vector.');
  for (const [start, end] of passages)
    if (
      !(Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start <= end && end <= text.length)
    )
      throw invalid(
        `${at}.passages: [${start}, ${end}] is no range of a text of ${text.length} UTF-16 units`,
        'Give [start, end) within the text.',
      );
  if (vectors.length !== passages.length * dimension)
    throw new CodedError(
      'DIMENSION_MISMATCH',
      `${at}.vectors: ${vectors.length} components for ${passages.length} passages of ${dimension} dimensions (${space.id})`,
      `Give ${dimension} components a passage, or leave the vectors out.`,
    );
  for (let start = 0; start < vectors.length; start += dimension)
    checkRow(at, vectors.subarray(start, start + dimension), provider === 'given' && metric === 'cosine');
}

function checkRow(at: string, row: Float32Array, needsDirection: boolean): void {
  if (!row.every(Number.isFinite))
    throw invalid(`${at}.vectors: a component is not a finite 32-bit number`, 'Give finite numbers.');
  if (needsDirection && row.every(value => value === 0))
    throw invalid(
      `${at}.vectors: all components are 0, which has no direction`,
      'Give a vector that points somewhere.',
    );
}

function invalid(message: string, wayOut: string): CodedError {
  return new CodedError('INVALID_ARGUMENT', message, wayOut);
}
