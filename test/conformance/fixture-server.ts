/** A server with everything that the conformance suites look for by name, to be put behind the same door as our own. */
import type { ServerContext } from '@modelcontextprotocol/server';
import { McpServer, ProtocolError, ProtocolErrorCode, ResourceNotFoundError } from '#src/mcp/sdk.js';
import { inputPrompt, states } from './fixture-input.js';
import { type FixtureTool, fixtureTools, type Hooks, PNG, text } from './fixture-tools.js';

const RESOURCES: Record<
  string,
  { readonly mimeType: string; readonly text?: string; readonly blob?: string }
> = {
  'test://static-text': {
    mimeType: 'text/plain',
    text: 'This is the content of the static text resource.',
  },
  'test://static-binary': { mimeType: 'image/png', blob: PNG },
  'test://watched-resource': { mimeType: 'text/plain', text: 'Watched resource content' },
};
const TEMPLATE = /^test:\/\/template\/([^/]+)\/data$/;

const user = (content: object) => ({ role: 'user', content });
const argument = (name: string) => ({ name, required: true });

interface FixturePrompt {
  readonly arguments?: readonly object[];
  get(args: Record<string, string>, context: ServerContext): object | Promise<object>;
}

const PROMPTS: Record<string, FixturePrompt> = {
  test_simple_prompt: {
    get: () => ({ messages: [user(text('This is a simple prompt for testing.'))] }),
  },
  test_prompt_with_arguments: {
    arguments: [argument('arg1'), argument('arg2')],
    get: ({ arg1, arg2 }) => ({
      messages: [user(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`))],
    }),
  },
  test_prompt_with_embedded_resource: {
    arguments: [argument('resourceUri')],
    get: ({ resourceUri }) => ({
      messages: [
        user({
          type: 'resource',
          resource: {
            uri: resourceUri,
            mimeType: 'text/plain',
            text: 'Embedded resource content for testing.',
          },
        }),
        user(text('Please process the embedded resource above.')),
      ],
    }),
  },
  test_prompt_with_image: {
    get: () => ({
      messages: [
        user({ type: 'image', data: PNG, mimeType: 'image/png' }),
        user(text('Please analyze the image above.')),
      ],
    }),
  },
  test_input_required_result_prompt: { get: (_, context) => inputPrompt(context) },
};

/** For what the SDK's HTTP entry asks of an McpServer alone: the schema of a tool, to check headers against it. */
class FixtureServer extends McpServer {
  constructor(private readonly tools: Readonly<Record<string, FixtureTool>>) {
    super({ name: 'conformance-fixture', version: '1.0.0' }, { requestState: { verify: states.verify } });
    // Declared afterwards, so that the handlers are ours.
    this.server.registerCapabilities({
      tools: { listChanged: true },
      resources: { subscribe: true, listChanged: true },
      prompts: { listChanged: true },
      logging: {},
      completions: {},
    });
  }

  override toolInputSchemaJson(name: string): Record<string, unknown> | undefined {
    return this.tools[name]?.inputSchema as Record<string, unknown> | undefined;
  }
}

export function fixtureServer(hooks: Hooks): McpServer {
  const tools = fixtureTools(hooks);
  const fixture = new FixtureServer(tools);
  const { server } = fixture;
  // Answers are checked by the suites against the specification's own schema, so no type needs to say it here.
  const handle = server.setRequestHandler.bind(server) as unknown as (
    method: string,
    handler: (request: { params: Record<string, unknown> }, context: ServerContext) => unknown,
  ) => void;

  handle('tools/list', () => ({
    tools: Object.entries(tools).map(([name, { description, inputSchema = { type: 'object' } }]) => ({
      name,
      description,
      inputSchema,
    })),
  }));
  handle('tools/call', ({ params }, context) => {
    const tool = tools[String(params.name)];
    if (tool === undefined) throw unknown('tool');
    return tool.run((params.arguments ?? {}) as Record<string, unknown>, context);
  });
  handle('prompts/list', () => ({
    prompts: Object.entries(PROMPTS).map(([name, prompt]) => ({
      name,
      description: 'A prompt of the suites',
      arguments: prompt.arguments ?? [],
    })),
  }));
  handle('prompts/get', ({ params }, context) => {
    const prompt = PROMPTS[String(params.name)];
    if (prompt === undefined) throw unknown('prompt');
    return prompt.get((params.arguments ?? {}) as Record<string, string>, context);
  });
  handle('resources/list', () => ({
    resources: Object.entries(RESOURCES).map(([uri, { mimeType }]) => ({ uri, name: uri, mimeType })),
  }));
  handle('resources/templates/list', () => ({
    resourceTemplates: [
      { uriTemplate: 'test://template/{id}/data', name: 'template', mimeType: 'application/json' },
    ],
  }));
  handle('resources/read', ({ params }) => {
    const uri = String(params.uri);
    const [, id] = TEMPLATE.exec(uri) ?? [];
    const found =
      id === undefined
        ? RESOURCES[uri]
        : {
            mimeType: 'application/json',
            text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }),
          };
    if (found === undefined) throw new ResourceNotFoundError(uri, 'there is no such resource');
    return { contents: [{ uri, ...found }] };
  });
  for (const method of ['resources/subscribe', 'resources/unsubscribe', 'logging/setLevel'])
    handle(method, () => ({}));
  handle('completion/complete', () => ({ completion: { values: [], total: 0, hasMore: false } }));
  return fixture;
}

const unknown = (what: string) =>
  new ProtocolError(ProtocolErrorCode.InvalidParams, `there is no such ${what}`);
