// The wall's lists, as data: what a tools thread keeps of the global object and of each built-in, and what to use for the rest.
// Not responsible for building the wall (`lockdown`, `builtins`). The built-ins' names are in `src/shared/allowed-builtins`.
// Invariant: what no list names does not exist for a tool; new globals of a newer Node are closed until somebody adds them here.

const words = (text: string): readonly string[] => Object.freeze(text.trim().split(/\s+/));

/** Of the language: kept as they are. Their prototypes stay writable: a polyfill reaches no further than its own thread. */
export const LANGUAGE_GLOBALS: readonly string[] = words(`
  Object Function Array Number Boolean String Symbol BigInt Date RegExp Promise Error AggregateError EvalError
  RangeError ReferenceError SyntaxError TypeError URIError SuppressedError DisposableStack AsyncDisposableStack
  Temporal Iterator parseFloat parseInt isFinite isNaN Infinity NaN undefined globalThis global JSON Math Intl
  Reflect Proxy Map Set WeakMap WeakSet WeakRef FinalizationRegistry ArrayBuffer DataView Uint8Array Int8Array
  Uint16Array Int16Array Uint32Array Int32Array BigUint64Array BigInt64Array Uint8ClampedArray Float16Array
  Float32Array Float64Array decodeURI decodeURIComponent encodeURI encodeURIComponent escape unescape eval
`);

/** Of the platform: kept, with constructor and prototype frozen, since Node's own objects (ports above all) share them. */
export const PLATFORM_GLOBALS: readonly string[] = words(`
  Buffer URL URLSearchParams URLPattern TextEncoder TextDecoder atob btoa structuredClone AbortController
  AbortSignal Event EventTarget CustomEvent DOMException QuotaExceededError setTimeout clearTimeout setInterval
  clearInterval setImmediate clearImmediate queueMicrotask
`);

/** As above, of `node:stream/web`; made when the first of them is read, since most tools need none. */
export const STREAM_GLOBALS: readonly string[] = words(`
  ReadableStream ReadableStreamDefaultReader ReadableStreamBYOBReader ReadableStreamBYOBRequest
  ReadableByteStreamController ReadableStreamDefaultController WritableStream WritableStreamDefaultController
  WritableStreamDefaultWriter TransformStream TransformStreamDefaultController ByteLengthQueuingStrategy
  CountQueuingStrategy TextEncoderStream TextDecoderStream
`);

/** Replaced by an object of our own that does the harmless part. */
export const REPLACED_GLOBALS = ['console', 'process', 'performance', 'crypto', 'Headers', 'Atomics'] as const;
export type ReplacedGlobal = (typeof REPLACED_GLOBALS)[number];

/** Statics of kept globals that are taken off: what they register lives outside the heap, for as long as the thread does. */
export const REMOVED_STATICS: { readonly [global: string]: readonly string[] } = {
  URL: ['createObjectURL', 'revokeObjectURL'],
};

const CONNECTION = 'declare a connection and use ctx.connections.<slot>.fetch';
const ALONE = 'a tool has one thread and no neighbours; use ctx.call for other tools and ctx.store for state';

/** What to use instead of a global that tools do not have. `typeof` of it is "undefined", as feature detection expects. */
export const INSTEAD_OF_GLOBAL: { readonly [global: string]: string } = {
  fetch: CONNECTION,
  Request: CONNECTION,
  Response: `${CONNECTION}, which answers with one`,
  FormData: 'build the body as text or Uint8Array',
  WebSocket: CONNECTION,
  EventSource: CONNECTION,
  BroadcastChannel: ALONE,
  MessageChannel: ALONE,
  MessagePort: ALONE,
  MessageEvent: ALONE,
  Worker: ALONE,
  SharedArrayBuffer: 'use ArrayBuffer; there is no other thread to share with',
  WebAssembly: 'use a pure-JS library; memory of WebAssembly lies outside what can be limited',
  Blob: 'use Uint8Array or Buffer',
  File: 'use Uint8Array or Buffer',
  CompressionStream: 'use a pure-JS library such as fflate',
  DecompressionStream: 'use a pure-JS library such as fflate',
  SubtleCrypto: 'use a pure-JS library such as @noble/hashes',
  CryptoKey: 'use a pure-JS library such as @noble/hashes',
  localStorage: 'use ctx.store',
  sessionStorage: 'use ctx.store',
  navigator: 'there is no navigator; settings belong into "vars" of tenant.json',
  require: 'import at the top of the file; everything else is bundled',
};

/** What to use instead of `import()` at run time. */
export const INSTEAD_OF_IMPORT = 'import at the top of the file, so that it is bundled';

/** Members of a built-in that a tool is given; `true` is all of them. What is left out writes, reads or leads to shared objects. */
export const BUILTIN_MEMBERS: { readonly [builtin: string]: true | readonly string[] } = {
  path: true,
  punycode: true,
  querystring: true,
  string_decoder: true,
  // `events` is a copy of the class (see `emitter`): the real prototype is that of `process`.
  events: true,
  // `ok` reads the source file of its caller to build a message; ours does not.
  assert: words(`
    equal notEqual strictEqual notStrictEqual deepEqual notDeepEqual deepStrictEqual notDeepStrictEqual
    partialDeepStrictEqual throws doesNotThrow rejects doesNotReject match doesNotMatch fail ifError
    AssertionError
  `),
  buffer: ['Buffer', 'constants', 'kMaxLength', 'kStringMaxLength', 'isUtf8', 'isAscii', 'transcode', 'atob', 'btoa'],
  timers: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate', 'clearImmediate'],
  url: words(`
    URL URLSearchParams URLPattern Url parse resolve resolveObject format domainToASCII domainToUnicode
    fileURLToPath pathToFileURL urlToHttpOptions
  `),
  util: words(`
    format formatWithOptions inspect promisify callbackify inherits isDeepStrictEqual types TextEncoder
    TextDecoder stripVTControlCharacters toUSVString isArray parseArgs parseEnv MIMEType MIMEParams deprecate
    debuglog
  `),
};

/** Members of `process` that throw, with what to do instead. */
export const INSTEAD_OF_PROCESS: { readonly [member: string]: string } = {
  exit: 'return a value or throw a ToolError',
  abort: 'return a value or throw a ToolError',
  kill: 'tools have no other processes',
  reallyExit: 'return a value or throw a ToolError',
  chdir: 'tools have no file system',
  binding: 'tools have no native modules',
  dlopen: 'tools have no native modules',
  getBuiltinModule: 'import one of the built-ins that tools have',
};
