/**
 * Stands in for @huggingface/transformers, which with its runtime is half a gigabyte: the same interface, for the tiny model alone. The tests
 * that use it run against the library itself by `npm run test:transformers`.
 */
import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export const env = {
  allowRemoteModels: true,
  allowLocalModels: true,
  localModelPath: '/models/',
  remoteHost: 'https://huggingface.co/',
  cacheDir: null,
  useFSCache: true,
  logLevel: 30,
};

const FILES = { fp32: 'model.onnx', q8: 'model_quantized.onnx' };

async function fileOf(model, name, localOnly) {
  const local = join(env.localModelPath, model, name);
  const cached = env.cacheDir === null ? undefined : join(env.cacheDir, model, name);
  for (const path of [local, cached].filter(Boolean)) {
    try {
      await access(path);
      return await readFile(path);
    } catch {}
  }
  if (localOnly || !env.allowRemoteModels) throw new Error(`file was not found locally at "${local}".`);
  const response = await fetch(new URL(`${model}/resolve/main/${name}`, env.remoteHost));
  if (!response.ok) throw new Error(`Could not locate file: "${response.url}".`);
  const bytes = Buffer.from(await response.arrayBuffer());
  await mkdir(dirname(cached), { recursive: true });
  await writeFile(cached, bytes);
  return bytes;
}

export async function pipeline(task, model, { dtype, device, local_files_only: localOnly }) {
  if (task !== 'feature-extraction' || device !== 'cpu') throw new Error(`${task} on ${device}`);
  const json = async name => JSON.parse(await fileOf(model, name, localOnly));
  const config = await json('config.json');
  const { model: words } = await json('tokenizer.json');
  await json('tokenizer_config.json');
  const network = await fileOf(model, `onnx/${FILES[dtype]}`, localOnly);
  const at = network.indexOf('table');
  if (at < 0)
    throw new Error(
      "Can't create a session. ERROR_MESSAGE: Failed to load model because protobuf parsing failed.",
    );
  const dimension = config.hidden_size;
  const count = Object.keys(words.vocab).length;
  // raw_data stands behind the name: its tag, its length, then the floats.
  const start = network.indexOf(Buffer.from([0x4a]), at + 5);
  const lengthBytes = count * dimension * 4 < 128 ? 1 : 2;
  const floats = new Float32Array(
    Uint8Array.from(
      network.subarray(start + 1 + lengthBytes, start + 1 + lengthBytes + 4 * count * dimension),
    ).buffer,
  );
  const extract = async (texts, { pooling, normalize }) => {
    if (texts.length !== 1 || normalize) throw new Error('more than was asked of it so far');
    const ids = ['[CLS]', ...texts[0].toLowerCase().split(/\s+/).filter(Boolean).slice(0, 62), '[SEP]'].map(
      word => words.vocab[word] ?? words.vocab['[UNK]'],
    );
    const rows = pooling === 'cls' ? ids.slice(0, 1) : ids;
    const data = new Float32Array(dimension);
    for (let d = 0; d < dimension; d++) {
      for (const id of rows) data[d] += floats[id * dimension + d] / rows.length;
    }
    return { dims: [1, dimension], data };
  };
  extract.dispose = async () => [];
  return extract;
}
