/** From one request of either era to what the handlers of tools and resources get. */

import { type Access, FULL_ACCESS } from '../domain/access.js';
import type { CodedError } from '../domain/errors.js';
import type { CallContext, Engine, Progress } from '../domain/face.js';
import type { Actor } from '../domain/model.js';
import type { Logger } from '../log.js';
import type { CallLineOptions } from './call-line.js';
import { guardedEngine } from './guarded-engine.js';
import { allowedRoots } from './roots.js';
import {
  CLIENT_CAPABILITIES_META_KEY,
  CLIENT_INFO_META_KEY,
  type ClientCapabilities,
  type Implementation,
  type ServerContext as RequestContext,
  type RequestMetaEnvelope,
  type Server,
} from './sdk.js';
import { actorOf, sessionView, type WindowIdentity } from './session.js';
import type { Tool, ToolContext } from './tools/tool.js';

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
  /** What the clients may see and change. Default: everything. */
  readonly access?: Access;
  readonly env: NodeJS.ProcessEnv;
  /** The working directory, absolute. */
  readonly cwd: string;
  readonly logger: Logger;
  /** At which level each call has a line. Default: debug. */
  readonly callLevel?: CallLineOptions['level'];
  /** See Config. Default: they may not. */
  readonly logTexts?: boolean;
  /** Why the client may not call a tool, which it is then not shown either; undefined where it may. Default: it may call every one. */
  refusalOf?(tool: Tool): CodedError | undefined;
  /** The zone of the client's moments by the headers of its HTTP request; null where none is known. Default: the machine's. */
  zoneOf?(headers: Headers | undefined): string | null;
  /** Told of every call when it is over. @param code `ok`, or the error's */
  onCalled?(name: string, code: string, durationMs: number): void;
}

/** The engine as the clients may have it: whatever serves them gets it here. */
export async function engineOf(context: ServerContext): Promise<Engine> {
  return guardedEngine(await context.engine(), context.access ?? FULL_ACCESS);
}

/** Whoever a request comes from, as far as that is known: over HTTP a token's owner, else this window. */
export function principalOf(request: RequestContext, { window, transport }: ServerContext): string {
  return JSON.stringify([transport, request.http?.authInfo?.clientId ?? window.window]);
}

/** Whether the client can put a form before its user: what it declared at the handshake, since 2026-07-28 with each request. */
export function canAskUser(server: Server, request: RequestContext): boolean {
  const envelope: { readonly [CLIENT_CAPABILITIES_META_KEY]?: ClientCapabilities } =
    request.mcpReq.envelope ?? {};
  const declared = envelope[CLIENT_CAPABILITIES_META_KEY] ?? server.getClientCapabilities();
  const elicitation = declared?.elicitation;
  // Before there were modes, there were forms alone.
  return elicitation !== undefined && (elicitation.form !== undefined || elicitation.url === undefined);
}

/** Waiting for the client's answer to roots/list, in ms. */
const ROOTS_TIMEOUT_MS = 5_000;

/** @param name The tool's name, or the method: what the actor is stamped with */
export function toolContextOf(
  name: string,
  server: Server,
  request: RequestContext,
  context: ServerContext,
): ToolContext {
  const actor = actorOf(context.window, identityOf(server, request), context.transport, name);
  const zone = context.zoneOf?.(request.http?.req?.headers);
  const call: CallContext = {
    actor,
    signal: request.mcpReq.signal,
    ...(zone === undefined ? {} : { zone }),
    ...progressOf(request, context.logger),
  };
  return {
    engine: () => engineOf(context),
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
