import {
  CLIENT_INFO_META_KEY,
  type Implementation,
  type JSONRPCRequest,
  type ListToolsResult,
  ProtocolError,
  ProtocolErrorCode,
  type ServerContext as RequestContext,
  type RequestMetaEnvelope,
  type Result,
  Server,
} from '@modelcontextprotocol/server';
import { isCoded } from '../domain/errors.js';
import type { CallContext, Engine, Progress } from '../domain/face.js';
import type { Actor } from '../domain/model.js';
import type { Logger } from '../log.js';
import { INSTRUCTIONS } from './instructions.js';
import { answerResult, errorResult, withoutContent } from './result.js';
import { allowedRoots } from './roots.js';
import { actorOf, sessionView, type WindowIdentity } from './session.js';
import { suggestName } from './suggest.js';
import { TOOLS } from './tools/index.js';
import type { Tool, ToolContext } from './tools/tool.js';
import { isPlainObject, parsedJson, validate } from './validate.js';

/** What a server needs from the process it runs in. Nothing of it is touched before a tool is called. */
export interface ServerContext {
  /**
   * The engine, opened at the first call and the same one afterwards. Discovery answers before it is called, so nothing
   * that it needs (store, index, model) may be loaded earlier. A rejection becomes the call's error result.
   */
  engine(): Promise<Engine>;
  /** The package's version. */
  readonly version: string;
  readonly window: WindowIdentity;
  readonly transport: Actor['transport'];
  /** VECTOR_ROOTS: absolute directories; undefined where it is not set. */
  readonly roots: readonly string[] | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** The working directory, absolute. */
  readonly cwd: string;
  readonly logger: Logger;
}

/** What tools/list answers. The SDK's type wants arrays that can be changed; nobody changes them. */
const LISTED = TOOLS.map(({ run, ...description }) => description) as unknown as ListToolsResult['tools'];

/** Waiting for the client's answer to roots/list, in ms. */
const ROOTS_TIMEOUT_MS = 5_000;

/**
 * One MCP server over the engine, for one connection of either era (the SDK's entries pin the era and ask for a server
 * each). The low-level Server, because its high-level sibling would validate arguments first, and without codes.
 */
export function createServer(context: ServerContext): Server {
  const server = new LenientServer(
    { name: 'mcp-vector-server', title: 'Vector memory', version: context.version },
    { capabilities: { tools: {} }, instructions: INSTRUCTIONS },
  );
  server.onerror = error => context.logger.debug({ error: withoutContent(error) }, 'protocol error');

  server.setRequestHandler('tools/list', () => ({ tools: LISTED }));
  server.setRequestHandler('tools/call', async (request, requestContext) => {
    const tool = findTool(request.params.name);
    return callTool(tool, request.params.arguments, server, requestContext, context);
  });
  return server;
}

type WrappedHandler = (request: JSONRPCRequest, context: RequestContext) => Promise<Result>;

/** Looks at `arguments` before the SDK's own schema, which would refuse what some clients send, and without a code. */
class LenientServer extends Server {
  protected override _wrapHandler(method: string, handler: WrappedHandler): WrappedHandler {
    const wrapped = super._wrapHandler(method, handler);
    if (method !== 'tools/call') return wrapped;
    return async (request, context) => {
      const params = { ...request.params, arguments: argumentsObject(request.params?.arguments) };
      return wrapped({ ...request, params }, context);
    };
  }
}

/** null (sent for tools without arguments) counts as none, a JSON string as what it says. */
function argumentsObject(given: unknown): object {
  const value =
    given === undefined || given === null ? {} : typeof given === 'string' ? parsedJson(given) : given;
  if (isPlainObject(value)) return value;
  throw new ProtocolError(
    ProtocolErrorCode.InvalidParams,
    'INVALID_ARGUMENT: arguments: wants an object. Send the arguments as a JSON object.',
    { code: 'INVALID_ARGUMENT' },
  );
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

async function callTool(
  tool: Tool,
  args: unknown,
  server: Server,
  request: RequestContext,
  context: ServerContext,
) {
  const startedMs = performance.now();
  const actor = actorOf(context.window, identityOf(server, request), context.transport, tool.name);
  const call: CallContext = { actor, signal: request.mcpReq.signal, ...progressOf(request, context.logger) };
  const toolContext: ToolContext = {
    engine: () => context.engine(),
    call,
    roots: () =>
      allowedRoots({
        ...rootsOfClient(server),
        configured: context.roots,
        env: context.env,
        cwd: context.cwd,
      }),
    session: sessionView(actor),
  };
  let code = 'ok';
  try {
    return answerResult(await tool.run(validate(tool.inputSchema, args), toolContext));
  } catch (error) {
    code = isCoded(error) ? error.code : 'INTERNAL';
    // A coded error is an answer, and the client has it; one without a code is a defect, and nobody else sees its stack.
    if (!isCoded(error))
      context.logger.error({ err: error, tool: tool.name }, 'a tool failed without a code');
    return errorResult(tool.name, error);
  } finally {
    context.logger.debug(
      {
        tool: tool.name,
        requestId: request.mcpReq.id,
        client: actor.clientName,
        code,
        durationMs: Math.round(performance.now() - startedMs),
      },
      'tool called',
    );
  }
}

/** In 2026-07-28 each request may name its client, in the era before it the handshake did. */
function identityOf(server: Server, request: RequestContext) {
  const envelope: Partial<RequestMetaEnvelope> & { [CLIENT_INFO_META_KEY]?: Implementation } =
    request.mcpReq.envelope ?? {};
  const client = envelope[CLIENT_INFO_META_KEY] ?? server.getClientVersion();
  return { clientName: client?.name, clientVersion: client?.version, meta: request.mcpReq._meta };
}

/** Only where the client sent a token; the specification wants every notification to be further than the last. */
function progressOf(request: RequestContext, logger: Logger): Pick<CallContext, 'onProgress'> {
  const progressToken = request.mcpReq._meta?.progressToken;
  if (progressToken === undefined) return {};
  let furthest = Number.NEGATIVE_INFINITY;
  return {
    onProgress: ({ done, total, message }: Progress) => {
      if (done <= furthest) return;
      furthest = done;
      const params = { progressToken, progress: done, ...(total === undefined ? {} : { total }), message };
      request.mcpReq
        .notify({ method: 'notifications/progress', params })
        .catch(error => logger.debug({ error: String(error) }, 'progress was not delivered'));
    },
  };
}

/** Servers can ask clients in the 2025 era only; a client that declared no roots is not asked. */
function rootsOfClient(server: Server): { client?: () => Promise<string[]> } {
  if (server.getClientCapabilities()?.roots === undefined) return {};
  return {
    client: async () => {
      const { roots } = await server.listRoots(undefined, { timeout: ROOTS_TIMEOUT_MS });
      return roots.map(root => root.uri);
    },
  };
}
