/**
 * What is used of the MCP SDK, and nothing else of it: the build makes one file of this module and of all that it needs (scripts/bundle-sdk.mjs),
 * since to find and load the SDK's own files takes half of the time until a client has its list of tools.
 */
export {
  CLIENT_CAPABILITIES_META_KEY,
  CLIENT_INFO_META_KEY,
  type ClientCapabilities,
  type CompleteRequestParams,
  createRequestStateCodec,
  type Implementation,
  type InputRequiredResult,
  inputRequired,
  type JSONRPCMessage,
  type JSONRPCRequest,
  type ListToolsResult,
  ProtocolError,
  ProtocolErrorCode,
  parseJSONRPCMessage,
  type RequestId,
  type RequestMetaEnvelope,
  type RequestStateCodec,
  ResourceNotFoundError,
  type Result,
  Server,
  type ServerContext,
  type ServerEvent,
  type ServerEventBus,
  type Transport,
} from '@modelcontextprotocol/server';
export { serveStdio } from '@modelcontextprotocol/server/stdio';
