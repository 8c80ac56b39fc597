import { FULL_ACCESS, mayWrite } from '../domain/access.js';
import { CodedError, isCoded } from '../domain/errors.js';
import { explained } from '../domain/explained.js';
import { CallLine } from './call-line.js';
import { complete } from './completion.js';
import type { Confirmations } from './confirm.js';
import { nothingWritten } from './guarded-engine.js';
import { INSTRUCTIONS, READING_INSTRUCTIONS } from './instructions.js';
import { getPrompt, listedPrompt, PROMPTS } from './prompts/index.js';
import { canAskUser, principalOf, type ServerContext, toolContextOf } from './request.js';
import { LISTED_RESOURCES, RESOURCE_TEMPLATES, readResource } from './resources/resources.js';
import { answerResult, errorResult, protocolError, resourceError, withoutContent } from './result.js';
import {
  type JSONRPCRequest,
  type ListToolsResult,
  ProtocolError,
  ProtocolErrorCode,
  type ServerContext as RequestContext,
  type Result,
  Server,
} from './sdk.js';
import { SubscribedResources } from './subscriptions/subscribed-resources.js';
import { suggestName } from './suggest.js';
import { LISTED_TOOLS, onlyReads, TOOLS } from './tools/index.js';
import type { Tool, ToolContext } from './tools/tool.js';
import { isPlainObject, parsedJson, validate } from './validate.js';

export type { ServerContext } from './request.js';

/** The SDK's type wants arrays that can be changed; nobody changes them. */
const LISTED = LISTED_TOOLS as unknown as ListToolsResult['tools'];
const LISTED_READS = LISTED.filter(({ name }) => onlyReads(TOOLS.find(tool => tool.name === name)!));

/**
 * What clients of 2026-07-28 may keep, and how long, in ms. The lists are the same for as long as a process lives; they depend on its
 * configuration, so that no shared cache may have them. Resources are live.
 */
const LISTS_HINT = { ttlMs: 3_600_000, cacheScope: 'private' } as const;
const LIVE_HINT = { ttlMs: 0, cacheScope: 'private' } as const;

/**
 * One for the process: 2026-07-28 over HTTP makes a server for each request, and an answer comes with another one. Loaded with the first
 * question.
 */
let confirmations: Promise<Confirmations> | undefined;
const theConfirmations = () => {
  confirmations ??= import('./confirm.js').then(confirm => new confirm.Confirmations());
  return confirmations;
};

/**
 * One MCP server over the engine, for one connection of either era (the SDK's entries pin the era and ask for a server
 * each). The low-level Server, because its high-level sibling would validate arguments first, and without codes. Everything
 * that lists answers without the engine.
 */
export function createServer(context: ServerContext): Server {
  const writes = mayWrite(context.access ?? FULL_ACCESS);
  const prompts = writes ? PROMPTS : PROMPTS.filter(prompt => !prompt.writes);
  const server = new LenientServer(
    { name: 'mcp-vector-server', title: 'Vector memory', version: context.version },
    {
      capabilities: { tools: {}, prompts: {}, resources: { subscribe: true }, completions: {} },
      instructions: writes ? INSTRUCTIONS : READING_INSTRUCTIONS,
      cacheHints: {
        'server/discover': LISTS_HINT,
        'tools/list': LISTS_HINT,
        'prompts/list': LISTS_HINT,
        'resources/list': LISTS_HINT,
        'resources/templates/list': LISTS_HINT,
        'resources/read': LIVE_HINT,
      },
    },
  );
  server.onerror = error => context.logger.debug({ error: withoutContent(error) }, 'protocol error');

  server.setRequestHandler('tools/list', ({ params }) =>
    onlyPage(params, { tools: listedTo(context, writes) }),
  );
  server.setRequestHandler('tools/call', async ({ params }, request) => {
    const tool = findTool(params.name);
    const plainContext = toolContextOf(tool.name, server, request, context);
    return answered(tool.name, plainContext, request, context, {
      work: async line => {
        const toolContext = { ...plainContext, call: line.traced(plainContext.call) };
        if (!writes && !onlyReads(tool)) throw nothingWritten();
        const refusal = context.refusalOf?.(tool);
        if (refusal !== undefined) throw refusal;
        const args = validate(tool.inputSchema, params.arguments);
        line.asked(tool.logged?.(args), args);
        const question = canAskUser(server, request) ? await tool.question?.(args, toolContext) : undefined;
        if (question !== undefined) {
          const call = { tool: tool.name, args, question, principal: principalOf(request, context) };
          const unanswered = await (await theConfirmations()).ask(call, request);
          if (unanswered !== undefined) return unanswered;
        }
        return answerResult(await tool.run({ ...args, ...question?.pinned }, toolContext));
      },
      failed: error => errorResult(tool.name, error),
    });
  });

  server.setRequestHandler('prompts/list', ({ params }) =>
    onlyPage(params, { prompts: prompts.map(listedPrompt) }),
  );
  server.setRequestHandler('prompts/get', ({ params }) => {
    try {
      return getPrompt(prompts, params.name, params.arguments);
    } catch (error) {
      throw protocolError('prompts/get', error);
    }
  });
  server.setRequestHandler('completion/complete', async ({ params }, request) => {
    const toolContext = toolContextOf('completion/complete', server, request, context);
    return answered('completion/complete', toolContext, request, context, {
      work: () => complete(params, prompts, toolContext),
      failed: error => {
        throw protocolError('completion/complete', error);
      },
    });
  });

  server.setRequestHandler('resources/list', ({ params }) =>
    onlyPage(params, { resources: LISTED_RESOURCES }),
  );
  server.setRequestHandler('resources/templates/list', ({ params }) =>
    onlyPage(params, { resourceTemplates: RESOURCE_TEMPLATES }),
  );
  server.setRequestHandler('resources/read', async ({ params }, request) => {
    const toolContext = toolContextOf('resources/read', server, request, context);
    return answered('resources/read', toolContext, request, context, {
      work: () => readResource(params.uri, toolContext),
      failed: error => {
        throw resourceError(params.uri, error);
      },
    });
  });
  const subscribed = new SubscribedResources(server, context);
  server.setRequestHandler('resources/subscribe', ({ params }, request) => {
    const toolContext = toolContextOf('resources/subscribe', server, request, context);
    return answered('resources/subscribe', toolContext, request, context, {
      work: () => subscribed.subscribe(params.uri),
      failed: error => {
        throw resourceError(params.uri, error);
      },
    });
  });
  server.setRequestHandler('resources/unsubscribe', ({ params }) => subscribed.unsubscribe(params.uri));
  return server;
}

/** The lists have one page each, so that no cursor can be one of theirs. */
function onlyPage<T>(params: { readonly cursor?: string } | undefined, page: T): T {
  if (params?.cursor === undefined) return page;
  throw protocolError(
    '',
    new CodedError('CURSOR_INVALID', 'there is only one page', 'Ask without a cursor.'),
  );
}

/** The tools that a client may call. */
function listedTo({ refusalOf }: ServerContext, writes: boolean): ListToolsResult['tools'] {
  const listed = writes ? LISTED : LISTED_READS;
  if (refusalOf === undefined) return listed;
  return listed.filter(({ name }) => refusalOf(findTool(name)) === undefined);
}

type WrappedHandler = (request: JSONRPCRequest, context: RequestContext) => Promise<Result>;

/**
 * Looks at `arguments` before the SDK's own schemas, which would refuse what some clients send; what those schemas refuse has a
 * code like any other error.
 */
class LenientServer extends Server {
  protected override _wrapHandler(method: string, handler: WrappedHandler): WrappedHandler {
    const wrapped = super._wrapHandler(method, handler);
    const takesArguments = method === 'tools/call' || method === 'prompts/get';
    return async (request, context) => {
      try {
        return await wrapped(takesArguments ? withArguments(request) : request, context);
      } catch (error) {
        const places = malformedPlaces(error);
        throw places === undefined ? error : malformed(places);
      }
    };
  }
}

function withArguments(request: JSONRPCRequest): JSONRPCRequest {
  const given = argumentsObject(request.params?.arguments);
  const args = request.method === 'prompts/get' ? strings(given) : given;
  return { ...request, params: { ...request.params, arguments: args } };
}

/** Where the SDK's schemas found something wrong: it throws their findings as JSON in a message, with the values that were expected. */
function malformedPlaces(error: unknown): string[] | undefined {
  if (!(error instanceof Error) || error instanceof ProtocolError || isCoded(error)) return undefined;
  const findings = parsedJson(error.message);
  if (!Array.isArray(findings)) return undefined;
  return findings.map(({ path }: { readonly path?: unknown }) => (Array.isArray(path) ? path.join('.') : ''));
}

function malformed(places: readonly string[]): ProtocolError {
  const named = [...new Set(places)].filter(place => place !== '').slice(0, 5);
  return invalidArgument(
    `${named.join(', ') || 'params'}: missing, or of another form than the specification has`,
    "Send the request as the protocol's specification describes it.",
  );
}

/** null (sent for tools without arguments) counts as none, a JSON string as what it says. */
function argumentsObject(given: unknown): Record<string, unknown> {
  const value =
    given === undefined || given === null ? {} : typeof given === 'string' ? parsedJson(given) : given;
  if (isPlainObject(value)) return value;
  throw invalidArgument('arguments: wants an object', 'Send the arguments as a JSON object.');
}

/** A prompt's arguments are strings; a number is taken for its digits, null for an argument left out. */
function strings(args: Record<string, unknown>): Record<string, string> {
  const given = Object.entries(args).filter(([, value]) => value !== null);
  const isText = (value: unknown) => typeof value === 'string' || Number.isSafeInteger(value);
  if (given.every(([, value]) => isText(value)))
    return Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
  throw invalidArgument('arguments: wants strings', "Send each of the prompt's arguments as a string.");
}

function invalidArgument(message: string, wayOut: string): ProtocolError {
  return protocolError('', new CodedError('INVALID_ARGUMENT', message, wayOut));
}

/** @throws ProtocolError -32602, as the specification wants it for unknown tools; the code stands in its text and data. */
function findTool(name: string): Tool {
  const tool = TOOLS.find(candidate => candidate.name === name);
  if (tool !== undefined) return tool;
  const names = TOOLS.map(candidate => candidate.name);
  const near = suggestName(name, names) ?? names.find(known => known === `vector_${name}`);
  const hint = near === undefined ? `The tools are ${names.join(', ')}.` : `Did you mean ${near}?`;
  throw new ProtocolError(ProtocolErrorCode.InvalidParams, `UNKNOWN_TOOL: there is no such tool. ${hint}`, {
    code: 'UNKNOWN_TOOL',
    tools: names,
  });
}

/** Does what was asked, gives an error its shape, and logs how it went: names and codes, never contents. */
async function answered<Answer, Refusal>(
  name: string,
  { call }: ToolContext,
  request: RequestContext,
  { logger, callLevel: level = 'debug', logTexts: withTexts = false, onCalled }: ServerContext,
  { work, failed }: { work: (line: CallLine) => Promise<Answer>; failed: (error: unknown) => Refusal },
): Promise<Answer | Refusal> {
  const startedMs = performance.now();
  // Of several clients over HTTP each counts its own from 0.
  const requestId = request.http?.req?.headers.get('x-request-id') ?? request.mcpReq.id;
  const line = new CallLine({ logger, level, withTexts }, name, call.actor, requestId);
  let code = 'ok';
  try {
    return await work(line);
  } catch (thrown) {
    const error = explained(thrown);
    code = isCoded(error) ? error.code : 'INTERNAL';
    // A coded error is an answer, and the client has it; one without a code is a defect, and nobody else sees its stack.
    if (!isCoded(error)) logger.error({ err: error, tool: name }, 'a call failed without a code');
    return failed(error);
  } finally {
    const durationMs = Math.round(performance.now() - startedMs);
    line.ended(code, durationMs);
    onCalled?.(name, code, durationMs);
  }
}
