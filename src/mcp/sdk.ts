/**
 * What is used of the MCP SDK, and nothing else of it: the build makes one file of this module and of all that it needs (scripts/bundle-sdk.mjs),
 * since to find and load the SDK's own files takes half of the time until a client has its list of tools.
 */
export {
  type AuthInfo,
  CLIENT_INFO_META_KEY,
  createMcpHandler,
  type EventStore,
  type Implementation,
  isInitializeRequest,
  isJsonContentType,
  isLegacyRequest,
  type JSONRPCMessage,
  type JSONRPCRequest,
  type ListToolsResult,
  type McpHttpHandler,
  McpServer,
  ProtocolError,
  ProtocolErrorCode,
  parseJSONRPCMessage,
  type RequestId,
  type RequestMetaEnvelope,
  ResourceNotFoundError,
  type Result,
  Server,
  type ServerContext,
  type Transport,
  validateHostHeader,
  validateOriginHeader,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';
export { serveStdio } from '@modelcontextprotocol/server/stdio';
