import { randomUUID } from 'node:crypto';
import type { EventStore, JSONRPCMessage } from '../mcp/sdk.js';

interface Kept {
  readonly streamId: string;
  readonly message: JSONRPCMessage;
  readonly sizeBytes: number;
}

const MAX_EVENTS = 256;
const MAX_BYTES = 1024 * 1024;

/**
 * What one session was sent last, so that a client whose connection broke gets the rest by Last-Event-ID. Bounded: the oldest go
 * first, and who asks for one that is gone is told so.
 */
export class SessionEvents implements EventStore {
  /** By id, in the order in which they were sent. */
  private readonly events = new Map<string, Kept>();
  private sizeBytes = 0;

  async storeEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    const id = randomUUID();
    const sizeBytes = Buffer.byteLength(JSON.stringify(message));
    this.events.set(id, { streamId, message, sizeBytes });
    this.sizeBytes += sizeBytes;
    for (const [oldest, kept] of this.events) {
      // The newest stays however large it is: it is the answer that is waited for.
      if (this.events.size === 1 || (this.events.size <= MAX_EVENTS && this.sizeBytes <= MAX_BYTES)) break;
      this.events.delete(oldest);
      this.sizeBytes -= kept.sizeBytes;
    }
    return id;
  }

  async getStreamIdForEventId(id: string): Promise<string | undefined> {
    return this.events.get(id)?.streamId;
  }

  async replayEventsAfter(
    lastId: string,
    { send }: { send: (id: string, message: JSONRPCMessage) => Promise<void> },
  ): Promise<string> {
    const streamId = this.events.get(lastId)?.streamId;
    if (streamId === undefined) throw new Error('the event is no longer kept');
    let isAfter = false;
    for (const [id, kept] of [...this.events]) {
      // A message without a method or an answer only opens a stream.
      if (isAfter && kept.streamId === streamId && Object.keys(kept.message).length > 0)
        await send(id, kept.message);
      if (id === lastId) isAfter = true;
    }
    return streamId;
  }
}
