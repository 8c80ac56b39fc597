// npm run mcpb: makes dist/mcpb/<name>-<version>.mcpb, which Claude Desktop installs by a double click: what `npm pack` packs, its dependencies and a
// manifest. It is validated, unpacked again, and the server in it must answer as the manifest says before it counts.
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packExtension, unpackExtension, validateManifest } from '@anthropic-ai/mcpb';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { manifestOf } from './mcpb-manifest.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const work = mkdtempSync(join(tmpdir(), 'mcpb-'));
const stage = join(work, 'stage');
const npm = (args, cwd) =>
  execFileSync('npm', [...args, '--loglevel=error'], { cwd, stdio: ['ignore', 'ignore', 'inherit'] });

try {
  mkdirSync(stage);
  npm(['pack', '--ignore-scripts', '--pack-destination', work], root);
  const tarball = readdirSync(work).find(file => file.endsWith('.tgz'));
  execFileSync('tar', ['-xzf', join(work, tarball), '-C', stage, '--strip-components=1']);
  // The versions that were tested. Install scripts are not run: what needs one is not in it (usearch and classic-level bring their binaries).
  copyFileSync(join(root, 'package-lock.json'), join(stage, 'package-lock.json'));
  npm(
    ['ci', '--omit=dev', '--omit=peer', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'],
    stage,
  );
  rmSync(join(stage, 'package-lock.json'));
  rmSync(join(stage, 'node_modules', '.package-lock.json'), { force: true });

  const manifest = await manifestOf(root);
  const manifestFile = join(stage, 'manifest.json');
  writeFileSync(manifestFile, `${JSON.stringify(manifest, null, 2)}\n`);
  if (!validateManifest(manifestFile)) throw new Error('the manifest is not valid');

  const bundle = join(root, 'dist', 'mcpb', `${manifest.name}-${manifest.version}.mcpb`);
  mkdirSync(dirname(bundle), { recursive: true });
  rmSync(bundle, { force: true });
  if (!(await packExtension({ extensionPath: stage, outputPath: bundle, silent: true })))
    throw new Error('the bundle could not be packed');

  const unpacked = join(work, 'unpacked');
  if (!(await unpackExtension({ mcpbPath: bundle, outputDir: unpacked, silent: true })))
    throw new Error('the bundle could not be unpacked');
  await tryOut(unpacked);
  console.log(`${bundle}: ${(statSync(bundle).size / 1e6).toFixed(1)} MB, validated, unpacked and started`);
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** Starts the server as a client does that has installed the bundle, writes and searches, ingests a document of each kind of dependency. */
async function tryOut(directory) {
  const { server, tools } = JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8'));
  if (!existsSync(join(directory, server.entry_point))) throw new Error(`${server.entry_point} is not in it`);
  const documents = join(work, 'documents');
  mkdirSync(documents);
  writeFileSync(join(documents, 'page.html'), '<h1>Garden</h1><p>The monks grow beans in the garden.</p>');
  const { command, args, env } = server.mcp_config;
  const values = { __dirname: directory, 'user_config.roots': documents };
  const filled = text => text.replace(/\$\{([^}]+)\}/g, (_all, name) => values[name]);
  const client = new Client({ name: 'npm run mcpb', version: '1' });
  const transport = new StdioClientTransport({
    command: command === 'node' ? process.execPath : command,
    args: args.map(filled),
    env: {
      PATH: process.env.PATH,
      HOME: work,
      VECTOR_DB_PATH: join(work, 'store'),
      VECTOR_LOG_LEVEL: 'error',
      ...Object.fromEntries(Object.entries(env).map(([name, value]) => [name, filled(value)])),
    },
    cwd: work,
  });
  await client.connect(transport);
  try {
    const listed = (await client.listTools()).tools.map(tool => tool.name);
    const named = tools.map(tool => tool.name);
    if (JSON.stringify(listed) !== JSON.stringify(named))
      throw new Error(`the manifest names ${named}, the server ${listed}`);
    await call(client, 'vector_ingest', { paths: [documents] });
    const { results } = await call(client, 'vector_search', { query: 'vegetables of the monastery' });
    if (results[0]?.metadata?.kind !== 'html') throw new Error('what was ingested is not found');
  } finally {
    await client.close();
  }
}

async function call(client, name, args) {
  const { isError, content, structuredContent } = await client.callTool({ name, arguments: args });
  if (isError) throw new Error(`${name}: ${content[0].text}`);
  return structuredContent;
}
