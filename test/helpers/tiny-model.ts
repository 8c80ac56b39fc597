/** A model of a few kilobytes in the files that Hugging Face's models have: each word has a row of numbers, and that is what comes out for it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const tinyDimension = 8;
const special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
const vocabulary = [
  ...special,
  ...'the owner of a store is first process log window cat dog sat mat'.split(' '),
];

/** The row of a word: numbers that depend on nothing but its place in the vocabulary. */
export function tinyRow(word: string, seed = 1): number[] {
  const at = Math.max(vocabulary.indexOf(word), 1);
  return Array.from({ length: tinyDimension }, (_, d) =>
    Math.fround(Math.sin(seed * (at + 1) * (d + 1) * 1.7)),
  );
}

/** What the model makes of a text: the mean of the rows of [CLS], its words and [SEP], at unit length. Computed apart from any library. */
export function tinyVector(text: string, seed = 1): number[] {
  const words = ['[CLS]', ...text.toLowerCase().split(/\s+/).filter(Boolean), '[SEP]'];
  const sum = new Array<number>(tinyDimension).fill(0);
  for (const word of words) for (const [d, x] of tinyRow(word, seed).entries()) sum[d]! += x / words.length;
  const length = Math.hypot(...sum);
  return sum.map(x => x / length);
}

/** Writes the model's files: config.json, tokenizer.json, tokenizer_config.json, onnx/model.onnx. */
export function writeTinyModel(directory: string, seed = 1): void {
  mkdirSync(join(directory, 'onnx'), { recursive: true });
  const json = (name: string, value: unknown) => writeFileSync(join(directory, name), JSON.stringify(value));
  json('config.json', {
    model_type: 'bert',
    architectures: ['BertModel'],
    hidden_size: tinyDimension,
    vocab_size: vocabulary.length,
  });
  json('tokenizer_config.json', {
    tokenizer_class: 'BertTokenizer',
    do_lower_case: true,
    model_max_length: 64,
    pad_token: '[PAD]',
    unk_token: '[UNK]',
    cls_token: '[CLS]',
    sep_token: '[SEP]',
    mask_token: '[MASK]',
  });
  const piece = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  json('tokenizer.json', {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: special.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [piece('[CLS]'), { Sequence: { id: 'A', type_id: 0 } }, piece('[SEP]')],
      pair: [
        piece('[CLS]'),
        { Sequence: { id: 'A', type_id: 0 } },
        piece('[SEP]'),
        { Sequence: { id: 'B', type_id: 1 } },
        piece('[SEP]'),
      ],
      special_tokens: Object.fromEntries(
        ['[CLS]', '[SEP]'].map(id => [id, { id, ids: [vocabulary.indexOf(id)], tokens: [id] }]),
      ),
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(vocabulary.map((word, id) => [word, id])),
    },
  });
  writeFileSync(
    join(directory, 'onnx', 'model.onnx'),
    onnxModel(vocabulary.map(word => tinyRow(word, seed))),
  );
}

/** A protocol buffer's field: its number, and a whole number or bytes (onnx.proto3 has the numbers below). */
function field(number: number, value: number | string | Buffer): Buffer {
  if (typeof value === 'number') return Buffer.concat([varint(number << 3), varint(value)]);
  const bytes = Buffer.from(value);
  return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes]);
}
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}
const message = (...fields: Buffer[]): Buffer => Buffer.concat(fields);

/** last_hidden_state = Gather(table, input_ids): ModelProto of one node. */
function onnxModel(rows: readonly (readonly number[])[]): Buffer {
  const INT64 = 7;
  const FLOAT = 1;
  const tensor = (name: string, type: number, ...dims: (string | number)[]): Buffer => {
    const shape = dims.map(dim => field(1, typeof dim === 'string' ? field(2, dim) : field(1, dim)));
    return message(field(1, name), field(2, field(1, message(field(1, type), field(2, message(...shape))))));
  };
  const table = message(
    field(1, rows.length),
    field(1, tinyDimension),
    field(2, FLOAT),
    field(8, 'table'),
    field(9, Buffer.from(Float32Array.from(rows.flat()).buffer)),
  );
  const gather = message(
    field(1, 'table'),
    field(1, 'input_ids'),
    field(2, 'last_hidden_state'),
    field(3, 'gather'),
    field(4, 'Gather'),
  );
  const graph = message(
    field(1, gather),
    field(2, 'tiny'),
    field(5, table),
    field(11, tensor('input_ids', INT64, 'batch', 'sequence')),
    field(11, tensor('attention_mask', INT64, 'batch', 'sequence')),
    field(12, tensor('last_hidden_state', FLOAT, 'batch', 'sequence', tinyDimension)),
  );
  return message(
    field(1, 8),
    field(2, 'mcp-vector-server'),
    field(7, graph),
    field(8, message(field(2, 13))),
  );
}
