// Finds the id of a message that is too long to be kept, while it passes: the member `id` of the outermost object.
// Not responsible for whether the rest is JSON. Invariant: holds a few hundred bytes, whatever comes.
import { isId, type RpcId } from './message.ts';

const ID_BYTES = 512;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;

export class TopLevelId {
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** The bytes of the key or value under way, where it may matter. */
  #text = '';
  #key: string | undefined;
  #found: string | undefined;

  feed(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (this.#found !== undefined) return;
      this.#byte(byte);
    }
  }

  get id(): RpcId | undefined {
    try {
      const id: unknown = JSON.parse(this.#found ?? '');
      return isId(id as RpcId) ? (id as RpcId) : undefined;
    } catch {
      return undefined;
    }
  }

  #byte(byte: number): void {
    if (this.#inString) {
      this.#keep(byte);
      if (this.#escaped) this.#escaped = false;
      else if (byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) this.#inString = false;
      return;
    }
    // { and [ open, } and ] close.
    if (byte === 0x7b || byte === 0x5b) this.#depth += 1;
    else if (byte === 0x7d || byte === 0x5d) {
      if (this.#depth === 1) this.#end();
      this.#depth -= 1;
    } else if (this.#depth === 1 && byte === COLON) {
      this.#key = this.#text.trim();
      this.#text = '';
    } else if (this.#depth === 1 && byte === COMMA) this.#end();
    else {
      if (byte === QUOTE) this.#inString = true;
      this.#keep(byte);
    }
  }

  #keep(byte: number): void {
    if (this.#depth === 1 && this.#text.length < ID_BYTES) this.#text += String.fromCharCode(byte);
  }

  #end(): void {
    if (this.#key === '"id"') this.#found = this.#text.trim();
    this.#key = undefined;
    this.#text = '';
  }
}
