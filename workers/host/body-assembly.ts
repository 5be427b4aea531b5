// Puts bodies together that reach the host in several frames.
// Not responsible for limits: the supervisor is trusted and bounds every body that it sends.
// Invariant: a body is handed on whole or not at all; its bytes are alone in their ArrayBuffer.
import type { ChunkHeader } from '../../src/boundary/body-sender.ts';

interface Arriving {
  readonly parts: Uint8Array[];
  bytes: number;
  readonly whole: (body: Uint8Array) => void;
  readonly lost: () => void;
}

export class BodyAssembly {
  readonly #arriving = new Map<string, Arriving>();

  begin(stream: string, first: Uint8Array, whole: (body: Uint8Array) => void, lost: () => void): void {
    this.#arriving.set(stream, { parts: [first], bytes: first.byteLength, whole, lost });
  }

  chunk(frame: ChunkHeader, body: Uint8Array): void {
    const arriving = this.#arriving.get(frame.stream);
    if (arriving === undefined) return;
    if (frame.lost === true) {
      this.#arriving.delete(frame.stream);
      arriving.lost();
      return;
    }
    arriving.parts.push(body);
    arriving.bytes += body.byteLength;
    if (frame.more === true) return;
    this.#arriving.delete(frame.stream);
    const whole = new Uint8Array(arriving.bytes);
    let at = 0;
    for (const part of arriving.parts) {
      whole.set(part, at);
      at += part.byteLength;
    }
    arriving.whole(whole);
  }

  drop(stream: string): void {
    this.#arriving.delete(stream);
  }
}
