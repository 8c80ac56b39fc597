import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { CodedError } from '../../domain/errors.js';
import { type ModelTraits, traitsOf } from '../providers/models.js';

/** What transformers.js calls a precision, by the end of the file's name, the better first. */
const PRECISIONS = [
  ['model.onnx', 'fp32'],
  ['model_fp16.onnx', 'fp16'],
  ['model_quantized.onnx', 'q8'],
  ['model_int8.onnx', 'int8'],
  ['model_uint8.onnx', 'uint8'],
  ['model_q4.onnx', 'q4'],
] as const;
export type Precision = (typeof PRECISIONS)[number][1];
export type Pooling = 'mean' | 'cls' | 'last_token';

/** Files that decide which tokens a text becomes. */
const TOKENIZER_FILES = ['tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json'];
/** What is needed of a model besides its network. */
const NEEDED = ['config.json', 'tokenizer.json', 'tokenizer_config.json'];

/** Where a model's files lie and how it wants to be used, without the library being loaded. */
export interface ModelFiles {
  readonly directory: string;
  readonly precision: Precision;
  readonly pooling: Pooling;
  readonly traits: ModelTraits;
}

/** What is missing of a model in a directory, in words; undefined where all is there. */
export function missingOf(directory: string): string | undefined {
  if (!existsSync(directory)) return 'there is no such directory';
  const missing = NEEDED.filter(name => !existsSync(join(directory, name)));
  if (networkOf(directory) === undefined) missing.push(join('onnx', 'model.onnx'));
  return missing.length === 0 ? undefined : `it has no ${missing.join(', ')}`;
}

/** @param name of the model, for its traits. @throws CodedError MODEL_DAMAGED, where a file is not what it should be */
export function modelFiles(directory: string, name: string): ModelFiles {
  const [, precision] = networkOf(directory)!;
  const { model_max_length: most } = readJson(directory, 'tokenizer_config.json') as {
    model_max_length?: unknown;
  };
  const { max_position_embeddings: positions } = readJson(directory, 'config.json') as {
    max_position_embeddings?: unknown;
  };
  const window = [most, positions].filter(
    (n): n is number => typeof n === 'number' && Number.isFinite(n) && n >= 8 && n < 1e6,
  );
  const traits = traitsOf(name);
  // Two characters a token leave room for words that come apart.
  const passageChars = Math.min(traits.passageChars, ...window.map(tokens => 2 * tokens));
  return { directory, precision, pooling: poolingOf(directory, name), traits: { ...traits, passageChars } };
}

/** SHA-256 of the network with its weights, and of what makes tokens of a text, each in hex. */
export async function digestsOf(
  directory: string,
): Promise<{ readonly weights: string; readonly tokenizer: string }> {
  const [file] = networkOf(directory)!;
  const weights = [join('onnx', file), join('onnx', `${file}_data`), 'config.json'];
  return {
    weights: await digestOf(directory, weights),
    tokenizer: await digestOf(directory, TOKENIZER_FILES),
  };
}

function networkOf(directory: string): (typeof PRECISIONS)[number] | undefined {
  return PRECISIONS.find(([file]) => existsSync(join(directory, 'onnx', file)));
}

async function digestOf(directory: string, names: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const name of names) {
    const path = join(directory, name);
    if (!existsSync(path)) continue;
    hash.update(`${name.replaceAll('\\', '/')}\0`);
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  }
  return hash.digest('hex');
}

/** As sentence-transformers says it beside its models (1_Pooling/config.json); else by the family, of which most take the mean. */
function poolingOf(directory: string, name: string): Pooling {
  if (existsSync(join(directory, '1_Pooling', 'config.json'))) {
    const said = readJson(directory, join('1_Pooling', 'config.json')) as Record<string, unknown>;
    if (said.pooling_mode_cls_token === true) return 'cls';
    if (said.pooling_mode_lasttoken === true) return 'last_token';
    return 'mean';
  }
  return /^(bge-|snowflake-arctic-embed|mxbai-embed|gte-modernbert)/i.test(basename(name)) ? 'cls' : 'mean';
}

function readJson(directory: string, name: string): unknown {
  const path = join(directory, name);
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof value === 'object' && value !== null) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new CodedError('MODEL_DAMAGED', `${path} is no JSON object`, 'Get the model anew.');
}
