import { CodedError } from '../../domain/errors.js';

/** The refusal to embed with files that are not the ones this version was built for: their vectors would be of no space. */
export function modelDamaged(what: string, cause?: unknown): CodedError {
  return new CodedError(
    'MODEL_DAMAGED',
    `The embedding model cannot be used: ${what}.`,
    'Reinstall mcp-vector-server (npm install), which brings the model along; no vector was made from the damaged files.',
    { cause },
  );
}
