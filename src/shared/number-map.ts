// A map from whole numbers to what is under way: entries that come and go with every call.
// Not responsible for order (`values` gives them in any) nor for giving room back: it stays as large as it once had to be, and `values`
// looks at all of it. Why not a `Map`: V8 ties each table that a growing, shrinking or cleared
// Map or Set leaves behind to the one after it, so that once a table has become old, none of its successors, nor anything that was
// in them, is freed before the next full collection. With some thousand entries a second that kept all calls of the last seconds
// alive, and doubled the work of the garbage collector (`bench/micro/under-way.ts`).
// Invariant: one home for an entry, and no gap between it and the entry's place (linear probing); at most half of the room is taken.

const LEAST_ROOM = 16;

export class NumberMap<Value extends object> {
  #numbers = numbers(LEAST_ROOM);
  #values = places<Value>(LEAST_ROOM);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(number: number): Value | undefined {
    return this.#values[this.#placeOf(number)];
  }

  set(number: number, value: Value): void {
    if (2 * this.#size >= this.#values.length) this.#grow();
    const at = this.#placeOf(number);
    if (this.#values[at] === undefined) this.#size += 1;
    this.#numbers[at] = number;
    this.#values[at] = value;
  }

  /** False where there was nothing. */
  delete(number: number): boolean {
    let gap = this.#placeOf(number);
    if (this.#values[gap] === undefined) return false;
    const last = this.#values.length - 1;
    for (let at = (gap + 1) & last; this.#values[at] !== undefined; at = (at + 1) & last) {
      const home = (this.#numbers[at] as number) & last;
      // It may move up to the gap only where that is not before its home.
      if (((at - home) & last) < ((at - gap) & last)) continue;
      this.#numbers[gap] = this.#numbers[at] as number;
      this.#values[gap] = this.#values[at];
      gap = at;
    }
    this.#values[gap] = undefined;
    this.#size -= 1;
    return true;
  }

  clear(): void {
    this.#numbers = numbers(LEAST_ROOM);
    this.#values = places(LEAST_ROOM);
    this.#size = 0;
  }

  /** Those of now: what is set or deleted meanwhile changes nothing in it. */
  values(): Value[] {
    return this.#values.filter((value) => value !== undefined);
  }

  /** Where the number is, or where it would go. */
  #placeOf(number: number): number {
    const last = this.#values.length - 1;
    let at = number & last;
    while (this.#values[at] !== undefined && this.#numbers[at] !== number) at = (at + 1) & last;
    return at;
  }

  #grow(): void {
    const before = { numbers: this.#numbers, values: this.#values };
    this.#numbers = numbers(2 * before.values.length);
    this.#values = places(2 * before.values.length);
    for (const [at, value] of before.values.entries()) {
      if (value === undefined) continue;
      const number = before.numbers[at] as number;
      const place = this.#placeOf(number);
      this.#numbers[place] = number;
      this.#values[place] = value;
    }
  }
}

function numbers(room: number): number[] {
  return Array.from({ length: room }, () => 0);
}
function places<Value>(room: number): (Value | undefined)[] {
  return Array.from({ length: room }, () => undefined);
}
