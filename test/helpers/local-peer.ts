/** The other end of a local socket by hand: says whatever a test wants it to say. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { encodeFrame, FrameReader, MAX_FRAME_BYTES, type Message } from '#src/local/frames.js';
import { newNonce, OWN_VERSION, proofOf } from '#src/local/handshake.js';

export class LocalPeer {
  readonly #messages: Message[] = [];
  #onMessage: (() => void) | undefined;
  /** Resolves when the connection has ended, whoever ended it. */
  readonly closed: Promise<void>;

  constructor(readonly socket: Socket) {
    const reader = new FrameReader();
    reader.maxBytes = MAX_FRAME_BYTES;
    socket.on('data', bytes =>
      reader.push(bytes, message => {
        this.#messages.push(message);
        this.#onMessage?.();
      }),
    );
    // An end by reset is an end.
    socket.on('error', () => undefined);
    this.closed = new Promise(resolve => socket.once('close', () => resolve()));
  }

  static async connect(address: string): Promise<LocalPeer> {
    const socket = connect(address);
    await once(socket, 'connect');
    return new LocalPeer(socket);
  }

  send(message: object | Buffer): void {
    this.socket.write(Buffer.isBuffer(message) ? message : encodeFrame(message));
  }

  /** The next message; undefined where the connection ends before one comes. */
  async next(): Promise<Message | undefined> {
    if (this.#messages.length === 0)
      await Promise.race([
        this.closed,
        new Promise<void>(resolve => {
          this.#onMessage = resolve;
        }),
      ]);
    return this.#messages.shift();
  }

  /** The client's part of the handshake. @returns the owner's last word: welcome or refused */
  async shakeHands(token: string, storePath: string): Promise<Message | undefined> {
    const clientNonce = newNonce();
    this.send({ type: 'hello', ...OWN_VERSION, nonce: clientNonce });
    const challenge = await this.next();
    if (challenge?.type !== 'challenge') return challenge;
    const transcript = { token, storePath, clientNonce, ownerNonce: challenge.nonce as string };
    this.send({ type: 'proof', proof: proofOf('client', transcript) });
    return this.next();
  }
}
