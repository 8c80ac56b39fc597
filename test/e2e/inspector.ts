/** The Inspector's command line as a client: every call is an Inspector and a server of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type Connection, contentsOf, type Launch, type Tool, type ToolResult } from '../mcp/connections.js';

const packageJson = createRequire(import.meta.url).resolve('@modelcontextprotocol/inspector/package.json');
const INSPECTOR = join(
  dirname(packageJson),
  createRequire(import.meta.url)(packageJson).bin['mcp-inspector'],
);

/** What the Inspector exits with after a tool answered with an error. */
const EXIT_TOOL_ERROR = 5;

/** @throws Error with what the Inspector said where it did not get an answer. */
export async function inspector(launch: Launch): Promise<Connection> {
  // biome-ignore lint/suspicious/noExplicitAny: what it prints is what the method answers
  const run = async (...options: string[]): Promise<any> => {
    const env = Object.entries(launch.env ?? {}).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
    const server = [process.execPath, ...launch.args];
    const child = spawn(
      process.execPath,
      [INSPECTOR, '--cli', ...env, ...server, ...options, '--format', 'json'],
      { stdio: ['ignore', 'pipe', 'pipe'], ...(launch.cwd === undefined ? {} : { cwd: launch.cwd }) },
    );
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', chunk => {
      stdout += chunk;
    });
    child.stderr.on('data', chunk => {
      stderr += chunk;
    });
    const [code] = await once(child, 'close');
    if (code !== 0 && code !== EXIT_TOOL_ERROR) throw new Error(`exit ${code}: ${stderr}`);
    return JSON.parse(stdout).result;
  };
  return {
    instructions: undefined,
    listTools: async (): Promise<Tool[]> => (await run('--method', 'tools/list', '--strict')).tools,
    call: async (name, args = {}) => {
      const pairs = Object.entries(args as object).flatMap(([key, value]) => [
        '--tool-arg',
        `${key}=${JSON.stringify(value)}`,
      ]);
      return (await run('--method', 'tools/call', '--tool-name', name, ...pairs)) as ToolResult;
    },
    listPrompts: async () => (await run('--method', 'prompts/list')).prompts,
    getPrompt: async (name, args = {}) => {
      const pairs = Object.entries(args).flatMap(([key, value]) => ['--prompt-args', `${key}=${value}`]);
      return run('--method', 'prompts/get', '--prompt-name', name, ...pairs);
    },
    listResources: async () => (await run('--method', 'resources/list')).resources,
    listResourceTemplates: async () => (await run('--method', 'resources/templates/list')).resourceTemplates,
    readResource: async uri => contentsOf(await run('--method', 'resources/read', '--uri', uri), uri),
    close: async () => {},
  };
}
