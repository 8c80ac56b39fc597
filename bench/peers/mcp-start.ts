import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { K } from './dataset.js';
import { COLLECTION } from './systems/own.js';

const SERVER = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const ANSWER_ID = 2;

/** @returns ms from the start of the server's process to its answer to a search, over stdio in raw JSON-RPC */
export async function startOverMcp(
  store: string,
  vector: readonly number[],
  env: Readonly<Record<string, string>>,
): Promise<number> {
  const messages = [
    {
      id: 1,
      method: 'initialize',
      params: {
        protocolVersion: '2025-11-25',
        capabilities: {},
        clientInfo: { name: 'bench', version: '1.0.0' },
      },
    },
    { method: 'notifications/initialized' },
    {
      id: ANSWER_ID,
      method: 'tools/call',
      params: {
        name: 'vector_search',
        arguments: { vector, collections: [COLLECTION], k: K, mode: 'semantic' },
      },
    },
  ];
  const startMs = performance.now();
  const child = spawn(process.execPath, [SERVER], {
    env: { ...process.env, ...env, VECTOR_DB_PATH: store, VECTOR_LOG_LEVEL: 'error' },
    stdio: ['pipe', 'pipe', process.stderr],
  });
  const closed = once(child, 'close');
  child.stdin.write(messages.map(message => `${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`).join(''));
  let output = '';
  let elapsedMs: number | undefined;
  for await (const chunk of child.stdout) {
    output += chunk;
    if (elapsedMs === undefined && answerIn(output)) {
      elapsedMs = performance.now() - startMs;
      child.stdin.end();
    }
  }
  await closed;
  if (elapsedMs === undefined) throw new Error(`the server ended without an answer: ${output}`);
  return elapsedMs;
}

/** @throws if it is an error */
function answerIn(output: string): boolean {
  const complete = output.split('\n').slice(0, -1);
  const answer = complete
    .map(line => JSON.parse(line) as { id?: number; result?: { isError?: boolean } })
    .find(({ id }) => id === ANSWER_ID);
  if (answer === undefined) return false;
  if (answer.result === undefined || answer.result.isError) throw new Error(JSON.stringify(answer));
  return true;
}
