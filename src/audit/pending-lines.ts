// The lines of one tenant that are durable but not yet in its file, as bytes outside the heap: as strings they would live just long
// enough for every garbage collection to copy them, which cost a tenth of a call.
// Not responsible for writing them (`tenant-files`) or for how many there may be. Invariant: bytes once given out do not change
// until `drop`, whatever is added meanwhile.

const NOTHING = Buffer.alloc(0);
const LEAST_BYTES = 4096;
/** Of a larger room, most is given back when little is pending. */
const KEPT_BYTES = 1024 * 1024;
const LINE_FEED = 0x0a;

export class PendingLines {
  #room: Buffer = NOTHING;
  #length = 0;

  /** Bytes. */
  get length(): number {
    return this.#length;
  }

  /** An ASCII line without its line feed. */
  add(line: string): void {
    const end = this.#put(line, 1);
    this.#room[end] = LINE_FEED;
    this.#length = end + 1;
  }

  /** ASCII, whole lines or the rest of one and whole lines behind it. */
  addText(text: string): void {
    this.#length = this.#put(text, 0);
  }

  bytes(): Buffer {
    return this.#room.subarray(0, this.#length);
  }

  /** The first `count` bytes are where they belong. */
  drop(count: number): void {
    const left = this.#length - count;
    const smaller = Math.max(4 * left, LEAST_BYTES);
    if (this.#room.length > KEPT_BYTES && smaller < this.#room.length / 2) {
      const room = Buffer.allocUnsafeSlow(smaller);
      this.#room.copy(room, 0, count, this.#length);
      this.#room = room;
    } else this.#room.copyWithin(0, count, this.#length);
    this.#length = left;
  }

  /** Gives the room back where nothing is pending. */
  release(): void {
    if (this.#length === 0) this.#room = NOTHING;
  }

  #put(text: string, more: number): number {
    const end = this.#length + text.length;
    if (end + more > this.#room.length) this.#grow(end + more);
    this.#room.write(text, this.#length, 'latin1');
    return end;
  }

  /** Moves to a new place: what was given out stays as it is. */
  #grow(least: number): void {
    const room = Buffer.allocUnsafeSlow(Math.max(least, 2 * this.#room.length, LEAST_BYTES));
    this.#room.copy(room, 0, 0, this.#length);
    this.#room = room;
  }
}
