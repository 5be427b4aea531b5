// A `Headers` of our own: Node's would load its HTTP client into the thread, with a dispatcher that can open sockets.
// Not responsible for which headers may be sent: the supervisor's egress decides.
// Invariant: names are lower case and tokens, values have no line breaks; iteration is in order of names.
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const FORBIDDEN_IN_VALUE = /[\0\r\n]/;

export type HeadersLike = Iterable<readonly [string, string]> | { readonly [name: string]: string };

export class ToolHeaders implements Iterable<[string, string]> {
  readonly #values = new Map<string, string>();

  constructor(init?: HeadersLike) {
    if (init === undefined || init === null) return;
    const pairs = isIterable(init) ? init : Object.entries(init);
    for (const [name, value] of pairs) this.append(name, value);
  }

  append(name: string, value: string): void {
    const [key, text] = [tokenOf(name), textOf(value)];
    const before = this.#values.get(key);
    this.#values.set(key, before === undefined ? text : `${before}, ${text}`);
  }

  set(name: string, value: string): void {
    this.#values.set(tokenOf(name), textOf(value));
  }

  get(name: string): string | null {
    return this.#values.get(tokenOf(name)) ?? null;
  }

  has(name: string): boolean {
    return this.#values.has(tokenOf(name));
  }

  delete(name: string): void {
    this.#values.delete(tokenOf(name));
  }

  /** Cookies of a service stay with the runtime; there are none here. */
  getSetCookie(): string[] {
    return [];
  }

  forEach(visit: (value: string, name: string, headers: ToolHeaders) => void, self?: unknown): void {
    for (const [name, value] of this) visit.call(self, value, name, this);
  }

  *entries(): IterableIterator<[string, string]> {
    yield* [...this.#values].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  *keys(): IterableIterator<string> {
    for (const [name] of this.entries()) yield name;
  }

  *values(): IterableIterator<string> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries();
  }

  get [Symbol.toStringTag](): string {
    return 'Headers';
  }
}

function isIterable(init: HeadersLike): init is Iterable<readonly [string, string]> {
  return Symbol.iterator in init;
}

function tokenOf(name: string): string {
  const text = String(name);
  if (!TOKEN.test(text)) throw new TypeError(`"${text.slice(0, 64)}" is not a header name.`);
  return text.toLowerCase();
}

function textOf(value: string): string {
  const text = String(value).trim();
  if (FORBIDDEN_IN_VALUE.test(text)) throw new TypeError('A header value must be one line.');
  return text;
}
