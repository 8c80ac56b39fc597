/** The tools that the conformance suites call by name: what each must answer stands in the suites' scenarios. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerContext } from '@modelcontextprotocol/server';
import { inputTools } from './fixture-input.js';

export interface FixtureTool {
  readonly description: string;
  readonly inputSchema?: object;
  run(args: Record<string, unknown>, context: ServerContext): Promise<object>;
}

/** What a tool can do to the server that it is of. */
export interface Hooks {
  toolsChanged(): void;
  promptsChanged(): void;
}

/** One red pixel. */
export const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
/** No samples. */
const WAV = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=';
const STEP_MS = 50;

const content = (...parts: object[]) => ({ content: parts });
export const text = (value: string) => ({ type: 'text', text: value });

const plainTools: Record<string, FixtureTool> = {
  test_simple_text: {
    description: 'Answers a text',
    run: async () => content(text('This is a simple text response for testing.')),
  },
  test_image_content: {
    description: 'Answers an image',
    run: async () => content({ type: 'image', data: PNG, mimeType: 'image/png' }),
  },
  test_audio_content: {
    description: 'Answers a sound',
    run: async () => content({ type: 'audio', data: WAV, mimeType: 'audio/wav' }),
  },
  test_embedded_resource: {
    description: 'Answers a resource',
    run: async () =>
      content({
        type: 'resource',
        resource: {
          uri: 'test://embedded-resource',
          mimeType: 'text/plain',
          text: 'This is an embedded resource content.',
        },
      }),
  },
  test_multiple_content_types: {
    description: 'Answers a text, an image and a resource',
    run: async () =>
      content(
        text('Multiple content types test:'),
        { type: 'image', data: PNG, mimeType: 'image/png' },
        {
          type: 'resource',
          resource: {
            uri: 'test://mixed-content-resource',
            mimeType: 'application/json',
            text: JSON.stringify({ test: 'data', value: 123 }),
          },
        },
      ),
  },
  test_error_handling: {
    description: 'Fails',
    run: async () => ({
      isError: true,
      ...content(text('This tool intentionally returns an error for testing')),
    }),
  },
  test_tool_with_logging: {
    description: 'Logs while it works',
    run: async (_, { mcpReq }) => {
      for (const data of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
        await mcpReq.notify({ method: 'notifications/message', params: { level: 'info', data } });
        await sleep(STEP_MS);
      }
      return content(text('Tool with logging executed successfully'));
    },
  },
  test_tool_with_progress: {
    description: 'Tells of its progress',
    run: async (_, { mcpReq }) => {
      const progressToken = mcpReq._meta?.progressToken;
      for (const progress of progressToken === undefined ? [] : [0, 50, 100]) {
        const params = { progressToken: progressToken!, progress, total: 100, message: `Step ${progress}` };
        await mcpReq.notify({ method: 'notifications/progress', params });
        await sleep(STEP_MS);
      }
      return content(text(String(progressToken ?? 'no progress token')));
    },
  },
  test_reconnection: {
    description: 'Closes its stream, and answers when the client has connected again',
    run: async (_, { http }) => {
      http?.closeSSE?.();
      await sleep(STEP_MS * 2);
      return content(text('Reconnection test completed successfully.'));
    },
  },
  test_logging_tool: {
    description: 'Logs only to a request that asked for it',
    run: async (_, { mcpReq }) => {
      await mcpReq.log('info', 'logged');
      return content(text('logged'));
    },
  },
  test_streaming_elicitation: {
    description: 'Answers without a request of its own',
    run: async () => content(text('no requests')),
  },
  test_x_mcp_header: {
    description: 'An argument of it is sent as a header, too',
    inputSchema: {
      type: 'object',
      properties: { region: { type: 'string', 'x-mcp-header': 'Region' }, level: { type: 'integer' } },
    },
    run: async ({ region }) => content(text(`region=${region ?? ''}`)),
  },
  json_schema_2020_12_tool: {
    description: 'Its schema uses what JSON Schema 2020-12 has',
    inputSchema: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      $defs: {
        address: {
          $anchor: 'addressDef',
          type: 'object',
          properties: { street: { type: 'string' }, city: { type: 'string' } },
        },
      },
      properties: {
        name: { type: 'string' },
        address: { $ref: '#/$defs/address' },
        contactMethod: { type: 'string', enum: ['phone', 'email'] },
        phone: { type: 'string' },
        email: { type: 'string' },
      },
      allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
      if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
      then: { required: ['phone'] },
      else: { required: ['email'] },
      additionalProperties: false,
    },
    run: async args => content(text(JSON.stringify(args))),
  },
};

/** What a person is asked in the suites' forms: a default for each primitive type, and every way to write a choice. */
const FORMS = {
  test_elicitation_sep1034_defaults: {
    name: { type: 'string', description: 'User name', default: 'John Doe' },
    age: { type: 'integer', description: 'User age', default: 30 },
    score: { type: 'number', description: 'User score', default: 95.5 },
    status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
    verified: { type: 'boolean', description: 'Verification status', default: true },
  },
  test_elicitation_sep1330_enums: {
    untitledSingle: { type: 'string', enum: ['option1', 'option2', 'option3'] },
    titledSingle: {
      type: 'string',
      oneOf: [
        { const: 'value1', title: 'First Option' },
        { const: 'value2', title: 'Second Option' },
        { const: 'value3', title: 'Third Option' },
      ],
    },
    legacyEnum: {
      type: 'string',
      enum: ['opt1', 'opt2', 'opt3'],
      enumNames: ['Option One', 'Option Two', 'Option Three'],
    },
    untitledMulti: {
      type: 'array',
      minItems: 1,
      maxItems: 3,
      items: { type: 'string', enum: ['option1', 'option2', 'option3'] },
    },
    titledMulti: {
      type: 'array',
      minItems: 1,
      maxItems: 3,
      items: {
        anyOf: [
          { const: 'value1', title: 'First Choice' },
          { const: 'value2', title: 'Second Choice' },
          { const: 'value3', title: 'Third Choice' },
        ],
      },
    },
  },
};

/** Requests of the server to the client, which revisions before 2026-07-28 have. */
const askingTools: Record<string, FixtureTool> = {
  test_sampling: {
    description: 'Asks the client for a completion',
    inputSchema: { type: 'object', properties: { prompt: { type: 'string' } }, required: ['prompt'] },
    run: async ({ prompt }, { mcpReq }) => {
      const messages = [{ role: 'user' as const, content: { type: 'text' as const, text: String(prompt) } }];
      const answer = await mcpReq.requestSampling({ messages, maxTokens: 100 });
      return content(text(`LLM response: ${JSON.stringify(answer.content)}`));
    },
  },
  test_elicitation: {
    description: 'Asks the person',
    inputSchema: { type: 'object', properties: { message: { type: 'string' } }, required: ['message'] },
    run: ({ message }, context) =>
      asked(context, String(message), { response: { type: 'string', description: "User's response" } }, [
        'response',
      ]),
  },
  ...Object.fromEntries(
    Object.entries(FORMS).map(([name, properties]) => [
      name,
      {
        description: 'Asks the person to fill in a form',
        run: (_: unknown, context: ServerContext) => asked(context, 'Please fill in', properties, []),
      },
    ]),
  ),
};

async function asked({ mcpReq }: ServerContext, message: string, properties: object, required: string[]) {
  const requestedSchema = { type: 'object', properties, required };
  // As it is written: the SDK's type does not have every way to write a choice.
  const { action, content: given } = (await mcpReq.send({
    method: 'elicitation/create',
    params: { message, requestedSchema },
  } as never)) as { action: string; content?: unknown };
  return content(text(`action=${action}, content=${JSON.stringify(given ?? {})}`));
}

const triggers = (hooks: Hooks): Record<string, FixtureTool> => ({
  test_trigger_tool_change: {
    description: 'Says that the tools changed',
    run: async () => {
      hooks.toolsChanged();
      return content(text('said'));
    },
  },
  test_trigger_prompt_change: {
    description: 'Says that the prompts changed',
    run: async () => {
      hooks.promptsChanged();
      return content(text('said'));
    },
  },
});

export const fixtureTools = (hooks: Hooks): Record<string, FixtureTool> => ({
  ...plainTools,
  ...askingTools,
  ...inputTools,
  ...triggers(hooks),
});
