// The manifest of the .mcpb bundle (https://github.com/modelcontextprotocol/mcpb, MANIFEST.md, version 0.3): what package.json and the server say of themselves.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** @param directory of the built package, where dist/ and package.json are */
export async function manifestOf(directory = root) {
  const { name, version, description, license, keywords, engines } = JSON.parse(
    readFileSync(join(directory, 'package.json'), 'utf8'),
  );
  const load = path => import(pathToFileURL(join(directory, 'dist', 'src', path)).href);
  const { TOOLS } = await load('mcp/tools/index.js');
  return {
    manifest_version: '0.3',
    name,
    display_name: 'Vector memory',
    version,
    description,
    author: { name: 'the mcp-vector-server authors' },
    license,
    keywords,
    server: {
      type: 'node',
      entry_point: 'dist/src/cli/main.js',
      mcp_config: {
        command: 'node',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: the client puts the bundle's directory in
        args: ['${__dirname}/dist/src/cli/main.js'],
        // biome-ignore lint/suspicious/noTemplateCurlyInString: and here what the user chose
        env: { VECTOR_ROOTS: '${user_config.roots}' },
      },
    },
    tools: TOOLS.map(tool => ({ name: tool.name, description: tool.title })),
    prompts_generated: true,
    user_config: {
      roots: {
        type: 'directory',
        title: 'Directory to ingest from',
        description: 'Files below it may be read into the memory, when you ask for it; nothing else is read.',
        required: true,
        // biome-ignore lint/suspicious/noTemplateCurlyInString: the client knows where that is
        default: '${DOCUMENTS}',
      },
    },
    compatibility: { platforms: ['darwin', 'linux', 'win32'], runtimes: { node: engines.node } },
  };
}
