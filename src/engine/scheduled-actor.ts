import type { Actor } from '../domain/model.js';
import { VERSION } from '../version.js';

/** Who writes where a server does its recurring work. @param tool what of it */
export const scheduledActor = (tool: string): Actor => ({
  clientName: 'mcp-vector-server',
  clientVersion: VERSION,
  session: 'schedule',
  sessionSource: 'schedule',
  project: '',
  transport: 'library',
  tool,
});
