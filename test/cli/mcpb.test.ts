/** What other people's installers read: the manifest of the .mcpb bundle, and server.json of the MCP registry. `npm run mcpb` builds and starts a whole bundle. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { v0_3 } from '@anthropic-ai/mcpb';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { PROVIDERS } from '#src/embedding/settings.js';
import { VARIABLES } from '#src/variables.js';
import { manifestOf } from '../../scripts/mcpb-manifest.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url)).replace(/[\\/]$/, '');
const readJson = (name: string) => JSON.parse(readFileSync(join(ROOT, name), 'utf8'));
const { name, version, mcpName } = readJson('package.json');

describe('the manifest of the bundle', () => {
  test('is one by the schema of its format, and of this version', async () => {
    const manifest = await manifestOf();
    expect(v0_3.McpbManifestSchema.safeParse(manifest).error).toBeUndefined();
    expect(manifest).toMatchObject({ name, version });
    const { version: _version, ...without } = manifest;
    expect(v0_3.McpbManifestSchema.safeParse(without).success).toBe(false);
  });

  test('starts the server as it says, with the tools that it names', async () => {
    const { server, tools } = await manifestOf();
    const home = mkdtempSync(join(tmpdir(), 'mcpb-'));
    const values: Record<string, string> = { __dirname: ROOT, 'user_config.roots': home };
    const filled = (text: string) => text.replace(/\$\{([^}]+)\}/g, (_all, key: string) => values[key]!);
    const client = new Client({ name: 'test', version: '1' });
    try {
      await client.connect(
        new StdioClientTransport({
          command: process.execPath,
          args: server.mcp_config.args.map(filled),
          env: {
            HOME: home,
            VECTOR_LOG_LEVEL: 'error',
            VECTOR_ROOTS: filled(server.mcp_config.env.VECTOR_ROOTS),
          },
          cwd: home,
        }),
      );
      const listed = await client.listTools();
      expect(listed.tools.map(tool => tool.name)).toEqual(tools.map(tool => tool.name));
    } finally {
      await client.close();
      rmSync(home, { recursive: true, force: true });
    }
  });
});

describe('server.json', () => {
  /** What the registry's schema of 2025-12-11 asks of the members that are used here, and no others. */
  const text = (more: object = {}) => ({ type: 'string', minLength: 1, ...more });
  const schema = {
    type: 'object',
    required: ['$schema', 'name', 'description', 'version', 'packages'],
    additionalProperties: false,
    properties: {
      $schema: { const: 'https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json' },
      name: text({ minLength: 3, maxLength: 200, pattern: '^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$' }),
      title: text({ maxLength: 100 }),
      description: text({ maxLength: 100 }),
      version: text({ maxLength: 255 }),
      packages: {
        type: 'array',
        items: {
          type: 'object',
          required: ['registryType', 'identifier', 'version', 'transport'],
          additionalProperties: false,
          properties: {
            registryType: { const: 'npm' },
            registryBaseUrl: { const: 'https://registry.npmjs.org' },
            identifier: text(),
            version: text({ not: { const: 'latest' } }),
            runtimeHint: { enum: ['npx', 'uvx', 'docker', 'dnx', 'jbang'] },
            transport: {
              type: 'object',
              required: ['type'],
              additionalProperties: false,
              properties: { type: { const: 'stdio' } },
            },
            environmentVariables: {
              type: 'array',
              items: {
                type: 'object',
                required: ['name'],
                additionalProperties: false,
                properties: {
                  name: text(),
                  description: text(),
                  format: { enum: ['string', 'number', 'boolean', 'filepath'] },
                  choices: { type: 'array', items: { type: 'string' } },
                  default: text(),
                  isRequired: { type: 'boolean' },
                  isSecret: { type: 'boolean' },
                },
              },
            },
          },
        },
      },
    },
  };
  const server = readJson('server.json');

  test('is what the registry takes', () => {
    const validate = new Ajv({ strict: false }).compile(schema);
    expect(validate(server), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ ...server, description: 'x'.repeat(101) })).toBe(false);
  });

  test('says the same as package.json and the server', () => {
    expect(server).toMatchObject({ name: mcpName, version, packages: [{ identifier: name, version }] });
    const known: readonly string[] = VARIABLES.map(variable => variable.name);
    const variables = server.packages[0].environmentVariables;
    for (const variable of variables) expect(known).toContain(variable.name);
    const embedder = variables.find((variable: { name: string }) => variable.name === 'VECTOR_EMBEDDER');
    expect(embedder.choices).toEqual([...PROVIDERS]);
  });
});
