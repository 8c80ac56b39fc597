/** Tools of 2026-07-28 that want something of the client before they answer: the request is sent again with it. */
import { randomUUID } from 'node:crypto';
import {
  acceptedContent,
  CLIENT_CAPABILITIES_META_KEY,
  type ClientCapabilities,
  createRequestStateCodec,
  type InputRequests,
  inputRequired,
  type ServerContext,
} from '@modelcontextprotocol/server';
import type { FixtureTool } from './fixture-tools.js';

/** A state comes back by way of the client, which may have altered it. */
export const states = createRequestStateCodec<Record<string, unknown>>({
  key: crypto.getRandomValues(new Uint8Array(32)),
});

const says = (value: string) => ({ content: [{ type: 'text', text: value }] });

const form = (message: string, name: string, type: 'string' | 'boolean' = 'string') => {
  const field = type === 'string' ? { type } : { type };
  return inputRequired.elicit({
    message,
    requestedSchema: { type: 'object', properties: { [name]: field }, required: [name] },
  });
};
const askName = () => form('What is your name?', 'name');
const askGreeting = () =>
  inputRequired.createMessage({
    messages: [{ role: 'user', content: { type: 'text', text: 'Generate a short greeting' } }],
    maxTokens: 50,
  });

const accepted = <T>({ mcpReq }: ServerContext, key: string): Partial<T> | undefined =>
  acceptedContent<T & Record<string, unknown>>(mcpReq.inputResponses, key);
const response = <T>({ mcpReq }: ServerContext, key: string): T | undefined =>
  mcpReq.inputResponses?.[key] as T | undefined;

const tools: Record<string, FixtureTool['run']> = {
  async test_input_required_result_elicitation(_, context) {
    const name = accepted<{ name: string }>(context, 'user_name')?.name;
    if (typeof name === 'string') return says(`Hello, ${name}!`);
    return inputRequired({ inputRequests: { user_name: askName() } });
  },

  async test_input_required_result_sampling(_, context) {
    const answer = response<{ content?: { text?: string } }>(context, 'capital_question');
    if (answer !== undefined) return says(`Sampling response: ${answer.content?.text}`);
    return inputRequired({ inputRequests: { capital_question: askGreeting() } });
  },

  async test_input_required_result_list_roots(_, context) {
    const roots = response<{ roots?: { uri: string }[] }>(context, 'client_roots')?.roots;
    if (Array.isArray(roots)) return says(`Client exposed ${roots.map(({ uri }) => uri).join(', ')}`);
    return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
  },

  async test_input_required_result_request_state(_, context) {
    if (accepted(context, 'confirm') !== undefined && context.mcpReq.requestState() !== undefined)
      return says('state-ok');
    return inputRequired({
      inputRequests: { confirm: form('Please confirm', 'ok', 'boolean') },
      requestState: await states.mint({ tool: 'request_state', nonce: randomUUID() }),
    });
  },

  async test_input_required_result_multiple_inputs(_, context) {
    const name = accepted<{ name: string }>(context, 'user_name')?.name;
    const greeting = response<{ content?: { text?: string } }>(context, 'greeting')?.content?.text;
    const roots = response<{ roots?: unknown[] }>(context, 'client_roots')?.roots;
    if (typeof name === 'string' && typeof greeting === 'string' && Array.isArray(roots))
      return says(`${greeting} ${name}, ${roots.length} roots`);
    return inputRequired({
      inputRequests: {
        user_name: askName(),
        greeting: askGreeting(),
        client_roots: inputRequired.listRoots(),
      },
      requestState: await states.mint({ tool: 'multiple_inputs', nonce: randomUUID() }),
    });
  },

  async test_input_required_result_multi_round(_, context) {
    const state = context.mcpReq.requestState<Record<string, unknown>>();
    const round = state?.tool === 'multi_round' ? Number(state.round) : 0;
    const next = (more: object) =>
      states.mint({ tool: 'multi_round', round: round + 1, nonce: randomUUID(), ...more });
    if (round === 0)
      return inputRequired({
        inputRequests: { step1: form('Step 1: What is your name?', 'name') },
        requestState: await next({}),
      });
    if (round === 1)
      return inputRequired({
        inputRequests: { step2: form('Step 2: What is your favorite color?', 'color') },
        requestState: await next({ name: accepted<{ name: string }>(context, 'step1')?.name }),
      });
    return says(`${state?.name} likes ${accepted<{ color: string }>(context, 'step2')?.color}`);
  },

  async test_input_required_result_tampered_state(_, context) {
    if (context.mcpReq.requestState() !== undefined && accepted(context, 'confirm') !== undefined)
      return says('integrity-ok');
    return inputRequired({
      inputRequests: { confirm: form('Please confirm', 'ok', 'boolean') },
      requestState: await states.mint({ tool: 'tampered_state', nonce: randomUUID() }),
    });
  },

  async test_input_required_result_capabilities(_, { mcpReq }) {
    if (mcpReq.inputResponses !== undefined) return says('fulfilled');
    const envelope: { [CLIENT_CAPABILITIES_META_KEY]?: ClientCapabilities } = mcpReq.envelope ?? {};
    const declared = envelope[CLIENT_CAPABILITIES_META_KEY];
    const inputRequests: InputRequests = {
      ...(declared?.elicitation !== undefined && { user_name: askName() }),
      ...(declared?.sampling !== undefined && { greeting: askGreeting() }),
      ...(declared?.roots !== undefined && { client_roots: inputRequired.listRoots() }),
    };
    if (Object.keys(inputRequests).length === 0) return says('nothing can be asked');
    return inputRequired({ inputRequests });
  },

  async test_missing_capability(_, context) {
    if (response(context, 'llm_answer') !== undefined) return says('answered');
    return inputRequired({ inputRequests: { llm_answer: askGreeting() } });
  },
};

export const inputTools: Record<string, FixtureTool> = Object.fromEntries(
  Object.entries(tools).map(([name, run]) => [name, { description: 'Wants input first', run }]),
);

/** The prompt that wants input first. */
export async function inputPrompt(context: ServerContext): Promise<object> {
  const given = accepted<{ context: string }>(context, 'user_context')?.context;
  if (typeof given !== 'string')
    return inputRequired({
      inputRequests: { user_context: form('What context should the prompt use?', 'context') },
    });
  return {
    messages: [{ role: 'user', content: { type: 'text', text: `Use the following context: ${given}` } }],
  };
}
